//! The stories of the README, each told by the real binary: once with a real Consul, once with the
//! embedded one.

/// Tells each story on both.
macro_rules! told_on_both {
    ($($story:ident),* $(,)?) => {
        mod real {
            $(#[test] fn $story() { super::$story($crate::consul::Kind::Real) })*
        }
        mod embedded {
            $(#[test] fn $story() { super::$story($crate::consul::Kind::Embedded) })*
        }
    };
}

mod content;

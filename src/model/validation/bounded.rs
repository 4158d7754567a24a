//! Reading a document into values, of which there may be so many.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads one value, and takes of what is left one for each value and each byte of text.
#[derive(Clone, Copy)]
pub(super) struct Bounded<'c>(pub &'c Cell<u64>);

// === impl Bounded ===

impl Bounded<'_> {
    fn take<E: Error>(self, size: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(1 + size as u64);
        self.0.set(left.unwrap_or(0));
        left.filter(|left| *left > 0).map(drop).ok_or_else(|| E::custom("too large"))
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.take(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Value, E> {
        self.take(0).map(|()| is.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        self.take(0).map(|()| number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        self.take(0).map(|()| number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        self.take(0).map(|()| number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.take(text.len()).map(|()| text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut values = Vec::new();
        while let Some(value) = from.next_element_seed(self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut values = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            self.take(key.len())?;
            let value = from.next_value_seed(self)?;
            values.insert(key, value);
        }
        Ok(values.into())
    }
}

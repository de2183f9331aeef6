//! The images: the same input gives the same bytes, and the Dockerfile builds every function there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ARCHIVE: &str = "image.tar";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The smallest file that is a 64-bit ELF program for amd64, with a segment of this kind: 3 names a dynamic loader.
fn program(segment: u32) -> Vec<u8> {
    let mut elf = vec![0u8; 64 + 56];
    elf[..5].copy_from_slice(b"\x7fELF\x02");
    elf[18] = 62;
    elf[32] = 64; // program headers begin here,
    elf[54] = 56; // have this size,
    elf[56] = 1; // and there is one
    elf[64..68].copy_from_slice(&segment.to_le_bytes());
    elf[72] = 120; // what the segment holds begins behind it
    elf[96] = 12;
    elf.extend(b"/lib/ld.so.1");
    elf
}

fn pack(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.arg("-B").arg(root().join("images/pack.py")).arg(ARCHIVE).args(arguments);
    command.current_dir(directory).output().unwrap()
}

#[test]
fn the_same_input_is_the_same_image_whenever_and_wherever_it_is_packed() {
    let mut packed = Vec::new();
    for name in ["here", "there"] {
        let directory = tempfile::tempdir().unwrap();
        let (file, other) = (directory.path().join("till"), directory.path().join(name));
        std::fs::write(&file, program(1)).unwrap();
        std::fs::write(&other, "certificates").unwrap();
        let old =
            std::time::SystemTime::now() - std::time::Duration::from_secs(packed.len() as u64 * 1_000_000);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        let output = pack(
            directory.path(),
            &["example.org/till:1", "till", &format!("{name}=/etc/certs"), "LABEL:a=b"],
        );
        assert!(output.status.success(), "{output:?}");
        packed.push((output.stdout, std::fs::read(directory.path().join(ARCHIVE)).unwrap()));
    }
    assert!(packed[0] == packed[1]);
    let said = String::from_utf8(packed.remove(0).0).unwrap();
    assert!(said.starts_with("sha256:") && said.ends_with(" example.org/till:1\n"), "{said}");
}

#[test]
fn an_image_holds_the_program_for_a_user_without_rights() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("till"), program(1)).unwrap();
    assert!(pack(directory.path(), &["example.org/till:1", "till"]).status.success());
    let script = "
import json, tarfile
archive = tarfile.open('image.tar')
read = lambda path: archive.extractfile(path).read()
manifest, = json.loads(read('manifest.json'))
config = json.loads(read(manifest['Config']))
layer = tarfile.open(fileobj=archive.extractfile(manifest['Layers'][0]))
index, = json.loads(read('index.json'))['manifests']
assert json.loads(read('blobs/' + index['digest'].replace(':', '/')))['config']['digest'].split(':')[1] in manifest['Config']
print(config['config']['User'], config['config']['Entrypoint'][0], config['architecture'], *sorted(layer.getnames()))";
    let output = Command::new("python3").args(["-c", script]).current_dir(directory.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "65532:65532 /till amd64 etc etc/passwd till tmp var var/run\n", "{:?}", output.stderr);
}

#[test]
fn what_could_not_run_is_not_packed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("till"), program(3)).unwrap();
    std::fs::write(directory.path().join("note"), "no program").unwrap();
    for (arguments, why) in [
        (["example.org/till:1", "till"], "not static: it needs /lib/ld.so.1"),
        (["example.org/till:latest", "till"], "a fixed tag"),
        (["example.org/till:1", "note"], "no 64-bit ELF"),
        (["example.org/till:1", "nothing"], "No such file"),
    ] {
        let output = pack(directory.path(), &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{arguments:?}: {said}");
    }
    assert!(!directory.path().join(ARCHIVE).exists());
}

#[test]
fn the_dockerfile_has_every_function_and_every_room() {
    let dockerfile = std::fs::read_to_string(root().join("images/Dockerfile")).unwrap();
    let mut programs: BTreeSet<String> = BTreeSet::from(["jetlag".to_owned()]);
    for entry in std::fs::read_dir(root().join("functions")).unwrap() {
        let manifest = std::fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
        if manifest.contains("function = true") {
            programs.insert(manifest.split('"').nth(1).unwrap().to_owned());
        }
    }
    assert!(programs.len() > 5, "{programs:?}");
    for program in &programs {
        let target = format!(
            "FROM base AS {program}\nCOPY --from=build /out/{program} /{program}\nENTRYPOINT [\"/{program}\"]\n"
        );
        assert!(dockerfile.contains(&target), "images/Dockerfile has no target {program}");
    }
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find(|line| line.starts_with("members = ")).unwrap();
    for room in members.split('"').skip(1).step_by(2).filter_map(|member| member.split('/').next()) {
        let copied = format!("COPY {room} {room}\n");
        assert!(dockerfile.contains(&copied), "images/Dockerfile does not copy {room}");
    }
}

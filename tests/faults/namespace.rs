//! A network of its own for a process, which a test can cut: needs root, and says so where there is none.

use std::process::{Command as Blocking, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::process::Command;

/// Tells the namespaces of this process apart.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// A network namespace with one cable to ours.
pub struct Namespace {
    name: String,
    /// Our end of the cable.
    cable: String,
    outside: String,
    inside: String,
}

impl Namespace {
    /// Makes one, or tells why that is not possible here.
    pub fn make() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it needs root for a network namespace".into());
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // 15 characters at most for the cable, and a network that hardly anybody else has.
        let name = format!("jetlag-{process}-{number}");
        let (cable, far) = (format!("jl{process}n{number}"), format!("jl{process}f{number}"));
        let [_, _, high, low] = process.to_be_bytes();
        let network = format!("10.{}.{}", 128 | (high & 0x7f), low);
        let space = Self {
            name: name.clone(),
            cable: cable.clone(),
            outside: format!("{network}.{}", 4 * number + 1),
            inside: format!("{network}.{}", 4 * number + 2),
        };
        let (outside, inside) = (format!("{}/30", space.outside), format!("{}/30", space.inside));
        ip(&["netns", "add", &name])?;
        ip(&["link", "add", &cable, "type", "veth", "peer", "name", &far, "netns", &name])?;
        ip(&["addr", "add", &outside, "dev", &cable])?;
        ip(&["link", "set", &cable, "up"])?;
        ip(&["-n", &name, "addr", "add", &inside, "dev", &far])?;
        ip(&["-n", &name, "link", "set", &far, "up"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        Ok(space)
    }

    /// The address under which whoever is inside reaches what is outside.
    pub fn outside(&self) -> &str {
        &self.outside
    }

    /// The address under which whoever is inside is reached.
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Everything that goes through the cable is lost from now on, and nobody is told.
    pub fn cut(&self) {
        ip(&["link", "set", &self.cable, "down"]).unwrap();
    }

    /// The cable carries again.
    pub fn mend(&self) {
        ip(&["link", "set", &self.cable, "up"]).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.cable]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done = Blocking::new("ip").args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("it needs `ip` of iproute2: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim()))
}

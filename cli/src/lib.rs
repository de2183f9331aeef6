//! The `jetlag` command as a library, so that tests and other commands call what it does.

#[cfg(not(unix))]
compile_error!("jetlag supervises processes by Unix signals and process groups; on Windows, build it in WSL");

pub mod app;
mod beside;
pub mod books;
pub mod broker;
pub mod capacity;
pub mod commands;
pub mod console;
pub mod demo;
mod difference;
pub mod exporter;
mod http;
mod invoked;
mod json;
pub mod letters;
pub mod moment;
mod objects;
pub mod orders;
pub mod problem;
pub mod prometheus;
mod replay;
pub mod scaffold;
pub mod scaler;
mod sealed;
pub mod status;
pub mod streams;
pub mod supervisor;
pub mod top;
pub mod traces;
pub mod trail;

//! The `jetlag` command as a library, so that tests and other commands call what it does.

#[cfg(not(unix))]
compile_error!("jetlag supervises processes by Unix signals and process groups; on Windows, build it in WSL");

pub mod app;
pub mod books;
pub mod broker;
pub mod commands;
pub mod console;
pub mod demo;
mod difference;
mod http;
mod invoked;
pub mod letters;
mod objects;
pub mod orders;
pub mod problem;
pub mod scaler;
pub mod streams;
pub mod supervisor;
pub mod trail;

//! What a function author meets: `jetlag new`, and the walk of docs/tutorial.md, command by command.

#![cfg(test)]

mod document;
mod new;
mod scratch;
mod walk;

//! What a function author meets first: `jetlag new`.

#![cfg(test)]

mod new;
mod scratch;

//! A shop in miniature over the production core: few articles, many who want them, and an oracle.

pub mod chain;
pub mod desk;
pub mod events;
pub mod gateway;
pub mod oracle;
pub mod printer;
pub mod stockroom;
pub mod till;

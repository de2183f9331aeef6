//! Why a server could not start or had to stop, and the exit code that says so.

use std::{io, net::SocketAddr};

use crate::journal::JournalError;

/// `EX_DATAERR` of sysexits.h: the data file holds something this server did not write.
const EXIT_DATA: u8 = 65;
/// `EX_UNAVAILABLE` of sysexits.h: the address, or the data file, belongs to another process.
const EXIT_UNAVAILABLE: u8 = 69;
/// `EX_IOERR` of sysexits.h.
const EXIT_IO: u8 = 74;

/// The end of a server that was not asked to end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address is taken, forbidden or not on this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The data file cannot be used.
    #[error("cannot use the data file")]
    Journal(#[from] JournalError),
    /// The ready line could not be written: whoever started this process no longer reads.
    #[error("cannot announce the address on stdout")]
    Announce(#[source] io::Error),
    /// The handlers of SIGTERM and SIGINT could not be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The accept loop ended by itself.
    #[error("cannot go on serving")]
    Serve(#[source] io::Error),
}

impl Failure {
    /// The process exit code, after sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Listen { .. } | Failure::Journal(JournalError::Busy { .. }) => EXIT_UNAVAILABLE,
            Failure::Journal(JournalError::Corrupt { .. }) => EXIT_DATA,
            Failure::Journal(_) | Failure::Announce(_) | Failure::Signals(_) | Failure::Serve(_) => EXIT_IO,
        }
    }
}

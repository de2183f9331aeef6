//! Where a function's inputs come from: a hint in the contract, from which manifests are made and which its processes heed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the inputs of a function come from.
///
/// The handler is the same, and so is what it promises: an event that comes both ways has its effects once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// From the streams: its processes pull them, and KEDA scales on what waits there.
    #[default]
    Stream,
    /// From requests: events are sent to it as CloudEvents, and Knative scales on requests. It has no consumers, and whoever
    /// sends sees to retries.
    Http,
    /// From both, each by processes of its own where it is deployed.
    Both,
}

impl Trigger {
    /// Whether inputs are pulled from the streams.
    pub const fn pulls(self) -> bool {
        matches!(self, Self::Stream | Self::Both)
    }

    /// Whether inputs are taken from requests.
    pub const fn takes_requests(self) -> bool {
        matches!(self, Self::Http | Self::Both)
    }
}

impl FromStr for Trigger {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stream" => Ok(Self::Stream),
            "http" => Ok(Self::Http),
            "both" => Ok(Self::Both),
            _ => Err("it must be stream, http or both"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::Http => "http",
            Self::Both => "both",
        })
    }
}

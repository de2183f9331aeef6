//! The figures that were measured, each with where it comes from. Nothing else here is a figure of a machine.

/// What an event takes of the disk beside its data: subject, envelope, headers, the record around them and the index.
/// `cargo measure-broker`, 2026-11-22, nats-server 2.15.1: 848 bytes with 169 of data. A stream counts 7 % less against its
/// limit.
pub const EVENT_OVERHEAD_BYTES: u64 = 680;
/// The data of an event whose contract has no example.
pub const DATA_BYTES: u64 = 250;
/// What stands for a commit without an event, or a piece of state: as an event with hardly any data.
pub const RECEIPT_BYTES: u64 = EVENT_OVERHEAD_BYTES + 30;
/// What the broker's memory grows by for each subject in EVENTS: each event, receipt and piece of state has its own.
/// `cargo measure-broker`, a million just filled: 279.
pub const SUBJECT_MEMORY_BYTES: u64 = 300;
/// The memory of a broker that keeps nothing and has something to do, rounded up.
pub const BROKER_MEMORY_BYTES: u64 = 100_000_000;
/// The most of EVENTS that the broker has in memory after it was read all over: `cargo measure-broker` saw 922 MB more after
/// 20,000 reads at random in a stream of 858 MB, which is all of it.
pub const READ_MEMORY_MAX_BYTES: u64 = 1_000_000_000;
/// What its memory grows by for each connection. `cargo measure-broker`: 55,828.
pub const CONNECTION_MEMORY_BYTES: u64 = 60_000;
/// How long it takes to start after a kill, for each million subjects, in milliseconds. `cargo measure-broker`, with a load
/// average of 15 beside it; a quiet machine needed a third.
pub const START_MS_PER_MILLION: u64 = 17_000;
/// Messages a second that one stream stored, delivered and was answered for, on two cores with its five clients.
/// docs/performance.md, `burst`: 71,000 on `wire` (14,195 orders of five events), 35,500 on `jetlag`, whose events are guarded
/// and copied into the trail. Nearer to the latter.
pub const STREAM_EVENTS_PER_S: u64 = 40_000;
/// Inputs a second that one process of a function was seen to handle, with everything else on the same two cores.
/// docs/performance.md, `burst`, `jetlag`, rounded down.
pub const PROCESS_INPUTS_PER_S: u64 = 7_000;
/// Messages that the broker takes in, and gives out, for each input, rounded up. docs/performance.md, `messages/order`: 14.1 and
/// 15.0 for nine inputs, five of which are only read.
pub const MESSAGES_PER_INPUT: u64 = 3;

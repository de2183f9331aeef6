//! What an event carries: typed payloads, and the sets of them that a function listens to and emits.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The data of one type of event.
///
/// ```
/// use jetlag::Payload;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct ParcelSent {
///     parcel_id: String,
/// }
///
/// impl Payload for ParcelSent {
///     const TYPE: &'static str = "parcels.sent";
///     const AGGREGATE: &'static str = "parcel";
///     fn aggregate_id(&self) -> &str {
///         &self.parcel_id
///     }
///     fn example() -> Self {
///         ParcelSent { parcel_id: "P-1".into() }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the payload of an event",
    note = "implement `jetlag::Payload` for it (its type, its aggregate and an example), or, for one of several payloads, declare the enum inside `jetlag::one_of!`"
)]
pub trait Payload: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event's type: two tokens of lower-case letters, digits, `-` and `_`, such as `orders.placed`.
    const TYPE: &'static str;

    /// What the event is about, as a singular noun: `order` makes the log field `order_id`.
    const AGGREGATE: &'static str;

    /// Whether an aggregate has at most one event of this type, whatever its id: an order is placed once.
    const ONCE_PER_AGGREGATE: bool = false;

    /// The id of the entity that the event is about, 1 to 128 bytes.
    fn aggregate_id(&self) -> &str;

    /// An example, for `invoke --example`, for documents and for tests. It must decode as itself.
    fn example() -> Self;

    /// What is wrong with the data beyond its form, in the sender's words; an invalid event is dead-lettered.
    ///
    /// # Errors
    /// One message for everything that is wrong.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A type of event as a contract tells of it.
#[derive(Debug, Clone, Copy)]
pub struct EventKind {
    /// Two tokens, such as `orders.placed`.
    pub name: &'static str,
    /// What its events are about: a singular noun such as `order`.
    pub aggregate: &'static str,
    /// Whether an aggregate has at most one event of this type.
    pub once_per_aggregate: bool,
    /// The JSON of an example's data, or nothing where there is no one form.
    pub example: fn() -> Option<Box<RawValue>>,
    /// Reads an event's data, checks it, and gives the id of the aggregate that it names.
    pub check: fn(&RawValue) -> Result<String, DecodeError>,
}

impl EventKind {
    /// The kind of the payload `P`.
    pub const fn of<P: Payload>() -> Self {
        Self {
            name: P::TYPE,
            aggregate: P::AGGREGATE,
            once_per_aggregate: P::ONCE_PER_AGGREGATE,
            example: || serde_json::value::to_raw_value(&P::example()).ok(),
            check: |data| P::decode(P::TYPE, data).map(|payload| payload.aggregate_id().to_owned()),
        }
    }
}

/// What a function listens to: one [`Payload`], or an enum of several made by [`one_of!`](crate::one_of).
#[diagnostic::on_unimplemented(
    message = "a function cannot listen to `{Self}`",
    note = "a function listens to a `jetlag::Payload`, to an enum of payloads declared inside `jetlag::one_of!`, or to `jetlag::AnyEvent`"
)]
pub trait Incoming: Sized + Send + 'static {
    /// The types of event that it can be.
    const KINDS: &'static [EventKind];

    /// Reads the data of an event of type `kind`.
    ///
    /// # Errors
    /// The data is not of that type's form, or `kind` is none of [`KINDS`](Self::KINDS).
    fn decode(kind: &str, data: &RawValue) -> Result<Self, DecodeError>;
}

/// What a function emits: one [`Payload`], an enum of several made by [`one_of!`](crate::one_of), or [`Nothing`].
#[diagnostic::on_unimplemented(
    message = "a function cannot emit `{Self}`",
    note = "a function emits a `jetlag::Payload`, an enum of payloads declared inside `jetlag::one_of!`, or `jetlag::Nothing`"
)]
pub trait Outgoing: Send + 'static {
    /// The types of event that it can be.
    const KINDS: &'static [EventKind];

    /// The event's kind, its aggregate's id and its data as JSON.
    ///
    /// # Errors
    /// The payload does not serialise, for instance because a map's key is not text.
    fn encode(&self) -> Result<Outbound, serde_json::Error>;
}

/// An emitted event on its way out: its id, time and trace are given by the runtime.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// The type of the event.
    pub kind: EventKind,
    /// The entity that it is about.
    pub aggregate_id: String,
    /// Its data as JSON.
    pub data: Box<RawValue>,
}

/// Emits nothing: the output of a function that only keeps state or acts on the world.
#[derive(Debug, Clone, Copy)]
pub enum Nothing {}

/// Why the data of an event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the form of its type.
    #[error("the data is not a {kind}")]
    Malformed {
        /// The type that was expected.
        kind: &'static str,
        /// Where and how it differs.
        source: serde_json::Error,
    },
    /// The form is right and the content is not.
    #[error("the data of {kind} is invalid: {why}")]
    Invalid {
        /// The type of the event.
        kind: &'static str,
        /// In the words of [`Payload::validate`].
        why: String,
    },
    /// The function does not listen to this type.
    #[error("{kind:?} is none of the types that this function listens to")]
    UnknownType {
        /// The type that came.
        kind: String,
    },
}

impl<P: Payload> Incoming for P {
    const KINDS: &'static [EventKind] = &[EventKind::of::<P>()];

    fn decode(kind: &str, data: &RawValue) -> Result<Self, DecodeError> {
        if kind != P::TYPE {
            return Err(DecodeError::UnknownType { kind: kind.into() });
        }
        let payload: P = serde_json::from_str(data.get())
            .map_err(|source| DecodeError::Malformed { kind: P::TYPE, source })?;
        payload.validate().map_err(|why| DecodeError::Invalid { kind: P::TYPE, why })?;
        Ok(payload)
    }
}

impl<P: Payload> Outgoing for P {
    const KINDS: &'static [EventKind] = &[EventKind::of::<P>()];

    fn encode(&self) -> Result<Outbound, serde_json::Error> {
        Ok(Outbound {
            kind: EventKind::of::<P>(),
            aggregate_id: self.aggregate_id().into(),
            data: serde_json::value::to_raw_value(self)?,
        })
    }
}

impl Outgoing for Nothing {
    const KINDS: &'static [EventKind] = &[];

    fn encode(&self) -> Result<Outbound, serde_json::Error> {
        match *self {}
    }
}

/// Declares an enum of payloads, for a function that listens to, or emits, more than one type of event.
///
/// ```
/// # use jetlag::Payload;
/// # use serde::{Deserialize, Serialize};
/// # macro_rules! payload { ($name:ident, $kind:literal) => {
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] pub struct $name { id: String }
/// # impl Payload for $name {
/// #     const TYPE: &'static str = $kind; const AGGREGATE: &'static str = "parcel";
/// #     fn aggregate_id(&self) -> &str { &self.id }
/// #     fn example() -> Self { $name { id: "P-1".into() } }
/// # } } }
/// # payload!(Sent, "parcels.sent");
/// # payload!(Lost, "parcels.lost");
/// jetlag::one_of! {
///     /// What became of a parcel.
///     pub enum Fate { Sent(Sent), Lost(Lost) }
/// }
/// # fn main() {}
/// ```
///
/// Each variant holds one [`Payload`]; `From` is implemented for each, so that `payload.into()` makes the enum.
#[macro_export]
macro_rules! one_of {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident($payload:ty)),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented by its payload")]
        $vis enum $name { $($(#[$variant_meta])* $variant($payload)),+ }

        impl $crate::Incoming for $name {
            const KINDS: &'static [$crate::EventKind] = &[$($crate::EventKind::of::<$payload>()),+];

            fn decode(kind: &str, data: &$crate::RawValue) -> Result<Self, $crate::DecodeError> {
                match kind {
                    $(<$payload as $crate::Payload>::TYPE =>
                        <$payload as $crate::Incoming>::decode(kind, data).map(Self::$variant),)+
                    _ => Err($crate::DecodeError::UnknownType { kind: kind.into() }),
                }
            }
        }

        impl $crate::Outgoing for $name {
            const KINDS: &'static [$crate::EventKind] = &[$($crate::EventKind::of::<$payload>()),+];

            fn encode(&self) -> Result<$crate::Outbound, $crate::serde_json::Error> {
                match self { $(Self::$variant(payload) => $crate::Outgoing::encode(payload),)+ }
            }
        }

        $(impl From<$payload> for $name {
            fn from(payload: $payload) -> Self { Self::$variant(payload) }
        })+
    };
}

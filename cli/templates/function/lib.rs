//! {{name}}: says in one sentence what it does.

{{uses}}

/// What this function is to the rest of the system.
pub const CONTRACT: Contract<{{In}}, {{Out}}> =
#if state
    Contract::new("{{name}}", "Says in one sentence what it does.").keeps(&[kind_of::<Tally>()]);
#end
#if !state
    Contract::new("{{name}}", "Says in one sentence what it does.");
#end
{{payloads}}
#if state

/// What is remembered under each id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// How many events there were.
    pub events: u64,
}

impl Stored for Tally {
    const KIND: &'static str = "tally";
}
#end

/// What is to be done is written here.
///
/// # Errors
/// What may go well later, which is tried again, or what no retry mends ([`Failure::reject`]).
#if !emits,!state
pub async fn handle(_: &(), event: Event<{{In}}>) -> Result<Option<Nothing>, Failure> {
    drop(event.data);
    Ok(None)
}
#end
#if emits,!state
pub async fn handle(_: &(), event: Event<{{In}}>) -> Result<{{Out}}, Failure> {
    let id = event.aggregate_id;
    Ok({{out}})
}
#end
#if state
pub async fn handle(_: &(), event: Event<{{In}}>, state: State) -> Result<Effects<{{Out}}>, Failure> {
    let id = event.aggregate_id;
    let mut tally: Tally = state.get(&id).await?.unwrap_or_default();
    tally.events += 1;
#if emits
    Ok(Effects::emit({{out}}).put(&id, &tally))
#end
#if !emits
    Ok(Effects::none().put(&id, &tally))
#end
}
#end


/// What `{{type}}` tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct {{Type}} {
    /// What it is about.
    pub id: String,
}

impl Payload for {{Type}} {
    const TYPE: &'static str = "{{type}}";
    const AGGREGATE: &'static str = "{{aggregate}}";
    fn aggregate_id(&self) -> &str {
        &self.id
    }
    fn example() -> Self {
        Self { id: "1".into() }
    }
}

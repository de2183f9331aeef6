//! Time that passes in a world.

use std::time::Duration;

use crate::testing::World;

impl World {
    /// Lets time pass until so much has passed since the beginning of the world.
    ///
    /// # Errors
    /// Something happened that must never happen.
    pub async fn pass(&mut self, until: Duration) -> Result<(), String> {
        self.drive(until, |_| false).await.map(drop)
    }
}

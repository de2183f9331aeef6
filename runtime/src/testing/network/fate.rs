//! What becomes of a publish: chance decides at the moment of sending.

use crate::testing::Dice;
use crate::testing::weather::Weather;

/// How often a publish waits for a broker that is away, instead of being lost, in thousandths.
const WAITS: u32 = 500;

/// What becomes of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It reaches the broker, and the answer comes.
    Answered,
    /// The broker refuses it for a reason of its own.
    Rejected,
    /// It does not reach the broker.
    Lost,
    /// It reaches the broker, and the answer does not come.
    Unanswered,
    /// It reaches the broker long after its publisher has given up.
    Late,
    /// It reaches the broker when that is back.
    Waits,
}

impl Fate {
    /// The fate of a publish in this weather, or while the broker is away.
    pub(crate) fn draw(weather: &Weather, dice: &Dice, is_away: bool) -> Self {
        if is_away {
            return if dice.chance(WAITS) { Self::Waits } else { Self::Lost };
        }
        let fates = [
            (weather.request_lost, Self::Lost),
            (weather.late, Self::Late),
            (weather.answer_lost, Self::Unanswered),
            (weather.rejected, Self::Rejected),
        ];
        fates.into_iter().find(|(rate, _)| dice.chance(*rate)).map_or(Self::Answered, |(_, fate)| fate)
    }

    /// What a journal says about it.
    pub(crate) const fn note(self) -> &'static str {
        match self {
            Self::Answered => "",
            Self::Rejected => "  ** is rejected",
            Self::Lost => "  ** is lost",
            Self::Unanswered => "  ** is stored without an answer",
            Self::Late => "  ** is late",
            Self::Waits => "  ** waits for the broker",
        }
    }
}

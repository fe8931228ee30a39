//! [`Rhythm`]: at which hours of the week a class works.
//!
//! Invariant: a rhythm's mean over the week is 1, so that events per day mean what they say.

/// When a class works. All hours are UTC, before an agent's own shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Monday to Friday, 7 to 18, with a dip at noon; next to nothing at night.
    Office,
    /// As long as customers are awake, seven days a week.
    Customers,
    /// Follows the developers, with a long evening and few builds at night.
    Builds,
    /// Around the clock.
    Always,
    /// Batches between midnight and five.
    Nightly,
}

impl Rhythm {
    const fn hours(self) -> [u16; 24] {
        match self {
            Self::Office => [
                1, 0, 0, 0, 0, 1, 8, 40, 80, 100, 100, 90, 60, 85, 95, 90, 70, 40, 15, 6, 4, 2, 2,
                1,
            ],
            Self::Customers => [
                12, 8, 6, 5, 6, 10, 25, 50, 75, 90, 100, 100, 95, 95, 95, 90, 85, 80, 75, 70, 60,
                45, 30, 20,
            ],
            Self::Builds => [
                12, 10, 8, 8, 8, 10, 15, 35, 70, 95, 100, 95, 70, 95, 100, 100, 90, 70, 50, 40, 35,
                30, 25, 15,
            ],
            Self::Always => [
                90, 90, 90, 88, 88, 90, 95, 100, 105, 110, 110, 110, 108, 110, 110, 110, 108, 105,
                100, 98, 95, 95, 92, 90,
            ],
            Self::Nightly => {
                [90, 100, 100, 80, 40, 10, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4, 10, 40]
            }
        }
    }

    /// Monday first.
    const fn days(self) -> [u16; 7] {
        match self {
            Self::Office => [105, 110, 108, 104, 92, 3, 2],
            Self::Customers => [120, 112, 108, 106, 104, 70, 60],
            Self::Builds => [110, 118, 116, 112, 96, 20, 18],
            Self::Always => [100, 100, 100, 100, 100, 96, 96],
            Self::Nightly => [100, 100, 100, 100, 100, 100, 130],
        }
    }

    /// Activity by hour of the week, as a multiple of the mean.
    pub(crate) fn of_week(self) -> [f64; 168] {
        let mut week = [0.0; 168];
        let mut sum = 0.0;
        for (day, of_day) in self.days().into_iter().enumerate() {
            for (hour, of_hour) in self.hours().into_iter().enumerate() {
                let product = f64::from(of_day) * f64::from(of_hour);
                week[day * 24 + hour] = product;
                sum += product;
            }
        }
        week.map(|one| one * 168.0 / sum)
    }
}

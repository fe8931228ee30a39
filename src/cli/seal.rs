//! Arguments of `surety seal`.

use clap::Subcommand;

use super::LakeArg;

/// The key and the newest seal, for those who verify elsewhere.
#[derive(Debug, Subcommand)]
pub(crate) enum Seal {
    /// Print the public key.
    #[command(after_help = "Examples:
  surety seal key > surety.pub")]
    Key {
        #[command(flatten)]
        lake: LakeArg,
    },
    /// Print the newest seal: keep it where the operator of the lake cannot change it.
    #[command(after_help = "Examples:
  surety seal head | ssh witness 'cat >> heads.txt'")]
    Head {
        #[command(flatten)]
        lake: LakeArg,
    },
    /// Send the newest seal to the configured witnesses; `surety run` does so by itself.
    #[command(after_help = "Examples:
  surety seal publish -c surety.toml    after a replay or an import")]
    Publish {
        #[command(flatten)]
        lake: LakeArg,
    },
    /// Seal commits that have no seal, as after a crash; `surety run` does so too.
    #[command(after_help = "Examples:
  surety seal catch-up --lake ./surety-data")]
    CatchUp {
        #[command(flatten)]
        lake: LakeArg,
    },
}

//! Weights as they are named on the command line: files, folders, and models of the Hugging Face hub.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::bail;
use clap::builder::{TypedValueParser, ValueParserFactory};
use convnext::core::did_you_mean;
use convnext::hub::{Fetched, HubError, HubModel, HubSettings, RELEASED, WeightSource, fetch};
use convnext::io::find_weights;

use super::progress::byte_bar;

/// A file or folder, `hf:ORG/NAME[@REVISION]`, or the short name of a released checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    text: String,
    source: WeightSource,
    /// The file, once it was asked for: what the name means may change while the program runs.
    found: OnceLock<PathBuf>,
}

impl FromStr for Weights {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { text: text.to_owned(), source: WeightSource::parse(text)?, found: OnceLock::new() })
    }
}

/// Reads an argument; a path need not be text.
#[derive(Clone)]
pub(crate) struct WeightsParser;

impl ValueParserFactory for Weights {
    type Parser = WeightsParser;

    fn value_parser() -> Self::Parser {
        WeightsParser
    }
}

impl TypedValueParser for WeightsParser {
    type Value = Weights;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Weights, clap::Error> {
        match value.to_str() {
            Some(_) => TypedValueParser::parse_ref(&Weights::from_str, command, argument, value),
            None => Ok(Weights {
                text: value.to_string_lossy().into_owned(),
                source: WeightSource::File(value.into()),
                found: OnceLock::new(),
            }),
        }
    }
}

impl Weights {
    /// The text as typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The file, which is looked for in a folder, and downloaded first if it is of the hub and not there yet. It is the same
    /// however often it is asked for.
    pub(crate) fn file(&self) -> anyhow::Result<PathBuf> {
        match self.found.get() {
            Some(found) => Ok(found.clone()),
            None => self.find().map(|found| self.found.get_or_init(|| found).clone()),
        }
    }

    fn find(&self) -> anyhow::Result<PathBuf> {
        match &self.source {
            WeightSource::File(path) if !path.exists() => bail!("{}", not_there(path)),
            WeightSource::File(path) => Ok(find_weights(path)?),
            WeightSource::Hub(model) => download(model),
        }
    }
}

/// Message about weights that are neither here nor released.
fn not_there(path: &Path) -> String {
    let name = path.display().to_string();
    let meant = did_you_mean(&name, RELEASED.iter().map(|released| released.name));
    format!(
        "{name} does not exist{meant}; check the path of a weight file or run folder, or name hf:ORG/NAME of the Hugging \
         Face hub or a released checkpoint (`convnext models --released`)"
    )
}

fn download(model: &HubModel) -> anyhow::Result<PathBuf> {
    let settings = HubSettings::from_environment()?;
    let bar = byte_bar(log::max_level() < log::LevelFilter::Warn);
    let fetched = fetch(model, &settings, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let Fetched { weights, downloaded, licence, .. } = fetched?;
    if downloaded {
        let licence = licence.unwrap_or_else(|| "not stated; look at the page of the model".to_owned());
        writeln!(
            io::stderr(),
            "downloaded {model} to {}; licence of the weights: {licence}",
            weights.display()
        )?;
    }
    Ok(weights)
}

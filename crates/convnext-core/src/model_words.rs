//! A model in words: its name, and what its blocks have that those of the named size have not.

use std::fmt;

use crate::config::ModelConfig;
use crate::response_norm::ResponseNorm;
use crate::sizes::{CUSTOM, find_model};

impl ModelConfig {
    /// Differences of the blocks from those of the named size, such as `squeeze and excite in the place of GRN`; `None` where
    /// there are none, or where no size has this name.
    pub fn block_differences(&self) -> Option<String> {
        let plain = find_model(&self.name).ok()?.config();
        let norm = (self.response_norm != plain.response_norm).then(|| {
            let name = self.response_norm.map_or("nothing", ResponseNorm::in_words);
            match plain.response_norm {
                Some(usual) => format!("{name} in the place of {}", usual.in_words()),
                None => format!("{name} after the GELU"),
            }
        });
        let scale = (self.layer_scale != plain.layer_scale).then(|| match self.layer_scale {
            Some(value) => format!("LayerScale (initially {value:?})"),
            None => "no LayerScale".to_owned(),
        });
        let differences: Vec<String> = norm.into_iter().chain(scale).collect();
        (!differences.is_empty()).then(|| differences.join(", and "))
    }
}

/// Such as `micro`, `micro, with squeeze and excite in the place of GRN`, or `custom (depths 1-1-2-1, widths 32-64-128-256)`.
impl fmt::Display for ModelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.name == CUSTOM {
            let [depths, widths] =
                [self.depths, self.widths].map(|counts| counts.map(|count| count.to_string()).join("-"));
            write!(f, " (depths {depths}, widths {widths})")?;
        }
        self.block_differences().map_or(Ok(()), |differences| write!(f, ", with {differences}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_blocks_have_is_said_where_the_name_does_not_say_it() {
        use ResponseNorm as R;
        for (name, response_norm, layer_scale, expected) in [
            ("micro", Some(R::Grn), None, "micro"),
            ("micro", Some(R::Se), None, "micro, with squeeze and excite in the place of GRN"),
            ("base", None, None, "base, with nothing in the place of GRN"),
            ("v1-base", None, Some(1e-6), "v1-base"),
            ("v1-base", Some(R::Bn), None, "v1-base, with batch norm after the GELU, and no LayerScale"),
            ("micro", Some(R::Grn), Some(0.5), "micro, with LayerScale (initially 0.5)"),
            ("v1-micro", None, Some(0.5), "v1-micro, with LayerScale (initially 0.5)"),
        ] {
            let plain = find_model(name).unwrap().config();
            let model = ModelConfig { response_norm, layer_scale, ..plain };
            assert_eq!(model.to_string(), expected);
        }
        let custom =
            ModelConfig { widths: [32, 64, 128, 256], ..find_model("micro").unwrap().config() }.named();
        assert_eq!(custom.to_string(), "custom (depths 1-1-2-1, widths 32-64-128-256)");
        let unknown = ModelConfig { name: "mine".to_owned(), ..find_model("micro").unwrap().config() };
        assert_eq!(unknown.to_string(), "mine");
    }
}

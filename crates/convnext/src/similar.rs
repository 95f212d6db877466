//! The images whose embeddings are most similar to one.

use convnext_io::{EmbeddingIndex, IoError};

/// An image of an index that is like another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Similar {
    /// Its number in the index.
    pub index: usize,
    /// The cosine of the angle between the vectors, in [-1, 1].
    pub similarity: f32,
}

/// The `count` images of an index whose embeddings are most similar to `vector`, the most similar first; of equals the first in
/// the index. It looks at every vector once and keeps `count` of them.
///
/// # Errors
/// [`IoError::Read`].
pub fn most_similar(index: &EmbeddingIndex, vector: &[f32], count: usize) -> Result<Vec<Similar>, IoError> {
    let own = length(vector);
    let mut found: Vec<Similar> = Vec::new();
    index.for_each(|index, other| {
        let similarity = cosine((vector, own), other);
        let place = found.partition_point(|known| known.similarity >= similarity);
        if place < count {
            found.insert(place, Similar { index, similarity });
            found.truncate(count);
        }
    })?;
    Ok(found)
}

/// The cosine of the angle between a vector of this length and another one; 0 where one of them has no length.
fn cosine((vector, length_of_it): (&[f32], f32), other: &[f32]) -> f32 {
    let product: f32 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
    let lengths = length_of_it * length(other);
    // Rounding may make a little more than 1 of it.
    if lengths > 0.0 { (product / lengths).clamp(-1.0, 1.0) } else { 0.0 }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use convnext_io::{EmbeddingMetadata, EmbeddingWriter};

    use super::*;

    #[test]
    fn the_direction_of_a_vector_counts_and_not_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.safetensors");
        let metadata = EmbeddingMetadata {
            model: String::new(),
            layer: String::new(),
            image_size: Some(1.into()),
            preprocessing: None,
            ignore_orientation: false,
            weights: String::new(),
            checksum: 0,
            sources: vec![],
        };
        let mut writer = EmbeddingWriter::create(&path, 2, &metadata).unwrap();
        for vector in [[0.0, 1.0], [5.0, 5.0], [0.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [9.0, 9.0]] {
            writer.push("x", &vector).unwrap();
        }
        writer.finish().unwrap();
        let index = EmbeddingIndex::open(&path).unwrap();
        let found = most_similar(&index, &[2.0, 0.0], 4).unwrap();
        assert_eq!(found.iter().map(|similar| similar.index).collect::<Vec<_>>(), [3, 1, 5, 0]);
        assert!((found[1].similarity - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(most_similar(&index, &[2.0, 0.0], 9).unwrap().last().unwrap().similarity, -1.0);
    }

    #[test]
    fn rounding_makes_no_cosine_above_one() {
        let mut above = 0;
        for number in 1..100_u16 {
            let vector: Vec<f32> = (1..=7).map(|value| f32::from(number * value).sqrt() / 3.0).collect();
            let square: f32 = vector.iter().map(|value| value * value).sum();
            above += usize::from(square / (length(&vector) * length(&vector)) > 1.0);
            let found = cosine((&vector, length(&vector)), &vector);
            assert!((0.999..=1.0).contains(&found), "{found}");
        }
        assert!(above > 0, "no vector is a test of rounding");
    }
}

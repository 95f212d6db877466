//! Sound files that the decoder takes for damaged or gets wrong: four channels at different grids, chroma finer than
//! brightness, and scans of some channels together and others apart. It reads their channels, and [`planes`] puts
//! these together.

use libjpeg_turbo_rs::{ColorSpace, Decoder, FrameHeader, JpegError};

use super::{
    apart::apart,
    complete::Layout,
    ink,
    planes::{Plane, colour, pixels},
};

/// `true` if a file is of such a kind.
pub(super) fn is_unusual(frame: &FrameHeader, layout: &Layout) -> bool {
    let Some((first, others)) = frame.components.split_first() else { return false };
    let finer = others.iter().any(|other| {
        other.horizontal_sampling > first.horizontal_sampling
            || other.vertical_sampling > first.vertical_sampling
    });
    finer || others.len() == 3 || in_groups(frame, layout)
}

/// `true` if a sequential file has several scans, one of them with several channels. Of arithmetically coded
/// ones the decoder reads these too.
fn in_groups(frame: &FrameHeader, layout: &Layout) -> bool {
    layout.scans > 1 && layout.most_channels > 1 && !frame.is_progressive && !layout.arithmetic
}

/// Red, green and blue of every pixel, row by row. `lenient` goes on where data is damaged.
pub(super) fn decode(bytes: &[u8], layout: &Layout, lenient: bool) -> Result<Vec<u8>, JpegError> {
    let decoder = Decoder::new(bytes)?;
    let (frame, space) = (decoder.header().clone(), decoder.jpeg_color_space());
    let channels = match in_groups(&frame, layout) {
        true => channels_apart(bytes, frame.components.len(), lenient)?,
        false => channels(decoder, lenient)?,
    };
    let planes: Vec<Plane> = channels
        .into_iter()
        .enumerate()
        .map(|(place, channel)| plane(channel, place, &frame))
        .collect::<Result<_, _>>()?;
    let size = frame.dimensions();
    Ok(match (<[Plane; 3]>::try_from(planes), space) {
        (Ok(planes), ColorSpace::Rgb) => pixels(&planes, size, |pixel| pixel),
        (Ok(planes), _) => pixels(&planes, size, colour),
        (Err(planes), space) => {
            let planes = <[Plane; 4]>::try_from(planes)
                .map_err(|planes| JpegError::Unsupported(format!("{} channels", planes.len())))?;
            let brightness = matches!(space, ColorSpace::Ycck);
            pixels(&planes, size, |inks| {
                ink::colour(if brightness { ink::of_brightness(inks) } else { inks })
            })
        }
    })
}

/// The samples of a channel, and how many are a row.
type Channel = (Vec<u8>, usize);

fn channels(mut decoder: Decoder, lenient: bool) -> Result<Vec<Channel>, JpegError> {
    decoder.set_lenient(lenient);
    let raw = decoder.decode_raw()?;
    Ok(raw.planes.into_iter().zip(raw.plane_widths).collect())
}

/// The channels of a file whose scans hold some together and others apart.
fn channels_apart(bytes: &[u8], count: usize, lenient: bool) -> Result<Vec<Channel>, JpegError> {
    let damaged = |what: &str| JpegError::CorruptData(what.to_owned());
    let mut found: Vec<Option<Channel>> = vec![None; count];
    for scan in apart(bytes).ok_or_else(|| damaged("a scan does not fit the frame header"))? {
        let read = channels(Decoder::new(&scan.file)?, lenient)?;
        for (place, channel) in scan.channels.into_iter().zip(read) {
            found[place] = Some(channel);
        }
    }
    found.into_iter().collect::<Option<_>>().ok_or_else(|| damaged("a channel has no scan"))
}

/// A channel with its place in the image.
fn plane((samples, stride): Channel, place: usize, frame: &FrameHeader) -> Result<Plane, JpegError> {
    let factors = |place: usize| {
        let component = &frame.components[place];
        [component.horizontal_sampling, component.vertical_sampling].map(usize::from)
    };
    let all = (0..frame.components.len()).map(factors).fold([1; 2], |[a, b], [c, d]| [a.max(c), b.max(d)]);
    let own = factors(place);
    if all[0] % own[0] != 0 || all[1] % own[1] != 0 {
        return Err(JpegError::Unsupported(
            "a channel whose grid does not divide that of the image".to_owned(),
        ));
    }
    let (width, height) = frame.dimensions();
    let [width, height] =
        [(width, 0), (height, 1)].map(|(side, axis)| (side * own[axis]).div_ceil(all[axis]));
    if width > stride || samples.len() < stride * height {
        return Err(JpegError::CorruptData("a channel is smaller than the image".to_owned()));
    }
    Ok(Plane { samples, stride, width, height, cell: [all[0] / own[0], all[1] / own[1]] })
}

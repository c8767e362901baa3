//! The names of the files of a split model: `NAME-00001-of-00003.gguf` and so on.

/// The most files of one model; keeps a strange name from listing a million others.
const MOST: u32 = 10_000;

/// What a file's name says of its place among others.
struct Numbered<'a> {
    stem: &'a str,
    count: u32,
    end: &'a str,
}

impl<'a> Numbered<'a> {
    /// `NAME-00002-of-00003.gguf`.
    fn of(name: &'a str) -> Option<Self> {
        let (rest, end) = name.rsplit_once('.')?;
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let five = |digits: &str| (digits.len() == 5).then(|| digits.parse::<u32>().ok())?;
        let (number, count) = (five(number)?, five(count)?);
        let fine = end.eq_ignore_ascii_case("gguf") && (1..=count).contains(&number) && count <= MOST;
        fine.then_some(Self { stem, count, end })
    }

    fn name(&self, number: u32) -> String {
        format!("{}-{number:05}-of-{:05}.{}", self.stem, self.count, self.end)
    }
}

/// The first file of the model that `name` is a file of; the name itself if it has no number.
pub(crate) fn first(name: &str) -> String {
    Numbered::of(name).map_or_else(|| name.to_owned(), |numbered| numbered.name(1))
}

/// The names of all files of the model that `name` is a file of, in order.
pub(crate) fn all(name: &str) -> Vec<String> {
    match Numbered::of(name) {
        None => vec![name.to_owned()],
        Some(numbered) => (1..=numbered.count).map(|number| numbered.name(number)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_numbers() {
        assert_eq!(first("a-b-00002-of-00003.gguf"), "a-b-00001-of-00003.gguf");
        assert_eq!(first("x-00001-of-00001.GGUF"), "x-00001-of-00001.GGUF");
        for other in ["model.gguf", "a-00004-of-00003.gguf", "a-00000-of-00003.gguf", "a-1-of-3.gguf", "-of-.gguf", ""]
        {
            assert_eq!(first(other), other);
        }
    }
}

//! A key's tables in both fields, for fuzz targets: digests instead of messages, and the numbers of wasm32
//! on any machine.

use super::{
    GENERATOR_WIDTH, KEY_WIDTH, field::Field, field29::Field29, field64::Field64, point::Affine,
    table::Table,
};

/// The generator's tables and one key's.
#[derive(Debug)]
pub struct BothFields(Tables<Field29>, Tables<Field64>);

#[derive(Debug)]
struct Tables<F> {
    generator: Table<F>,
    key: Table<F>,
}

impl BothFields {
    /// From the key's coordinates.
    #[must_use]
    pub fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Some(Self(Tables::new(x, y)?, Tables::new(x, y)?))
    }

    /// Each field's verdict, if it has one.
    #[must_use]
    pub fn verify(&self, digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> [Option<bool>; 2] {
        let Self(in_29, in_64) = self;
        [in_29.verify(digest, r, s), in_64.verify(digest, r, s)]
    }
}

impl<F: Field> Tables<F> {
    fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let generator = Table::new(Affine::generator()?, GENERATOR_WIDTH)?;
        let key = Table::new(Affine::from_bytes(x, y)?, KEY_WIDTH)?;
        Some(Self { generator, key })
    }

    fn verify(&self, digest: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> Option<bool> {
        super::verify(&self.key, &self.generator, digest, r, s)
    }
}

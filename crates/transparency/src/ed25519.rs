//! Ed25519 signatures, checked.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTable};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable as _;
use sha2::{Digest as _, Sha512};

/// Uses from which on a table costs less than it saves: it takes as long to make as 40 signatures
/// to check.
const WORTH_A_TABLE: usize = 100;

/// Whether `signature` is one over `message` by `public_key`: how every Ed25519 signature of ours is checked.
#[must_use]
pub fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

/// A public key that many signatures are checked with. Accepts exactly what [`verify`] does.
pub(crate) struct ManyTimes {
    public_key: [u8; 32],
    /// Multiples of the key's negative, 30 KiB; `None` if it is not worth it or no point in its one form.
    negative: Option<Box<EdwardsBasepointTable>>,
}

impl ManyTimes {
    /// Prepares for `uses` signatures.
    pub(crate) fn new(public_key: &[u8; 32], uses: usize) -> Self {
        let form = CompressedEdwardsY(*public_key);
        let point = if uses >= WORTH_A_TABLE { form.decompress() } else { None };
        // Of other forms of a point, `verify` decides which it takes.
        let point = point.filter(|point| point.compress() == form);
        let negative = point.map(|point| Box::new(EdwardsBasepointTable::create(&-point)));
        Self { public_key: *public_key, negative }
    }

    /// Whether `signature` is one over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let Some(negative) = &self.negative else { return verify(&self.public_key, message, signature) };
        let ([r, s], []) = signature.as_chunks::<32>() else { return false };
        let Some(s) = Scalar::from_canonical_bytes(*s).into_option() else { return false };
        let hash = Sha512::new().chain_update(r).chain_update(self.public_key).chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        // RFC 8032 §5.1.7 without the cofactor, both bases known beforehand: [S]B + [k](−A) is R.
        (ED25519_BASEPOINT_TABLE * &s + &**negative * &k).compress().as_bytes() == r
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::EdwardsPoint;

    use super::*;

    /// What both say; they must agree.
    fn both(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let table = ManyTimes::new(public_key, WORTH_A_TABLE);
        let once = verify(public_key, message, signature);
        assert_eq!(table.verify(message, signature), once, "{public_key:x?} {message:x?} {signature:x?}");
        once
    }

    fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes");
        let public_key = pair.public_key().as_ref().try_into().expect("32 bytes");
        (pair, public_key)
    }

    fn joined(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        signature
    }

    #[test]
    fn a_signature_holds_until_one_bit_of_anything_differs() {
        for seed in 0..8 {
            let (pair, public_key) = pair(seed);
            let message = [seed; 80];
            let signature: [u8; 64] = pair.sign(&message).as_ref().try_into().expect("64 bytes");
            assert!(both(&public_key, &message, &signature));
            for bit in 0..512 {
                let mut other = signature;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!both(&public_key, &message, &other), "bit {bit} of the signature");
            }
            for bit in 0..256 {
                let mut other = public_key;
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!both(&other, &message, &signature), "bit {bit} of the key");
            }
            assert!(!both(&public_key, &message[1..], &signature));
        }
    }

    #[test]
    fn a_scalar_has_one_form() {
        // The order of the group, little-endian: RFC 8032 §5.1.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let (pair, public_key) = pair(9);
        let signature: [u8; 64] = pair.sign(b"once").as_ref().try_into().expect("64 bytes");
        let mut carry = 0;
        let sum: [u8; 32] = std::array::from_fn(|at| {
            let digit = u16::from(signature[32 + at]) + u16::from(ORDER[at]) + carry;
            carry = digit >> 8;
            (digit & 0xff) as u8
        });
        let r = signature[..32].try_into().expect("32 bytes");
        assert!(both(&public_key, b"once", &signature));
        assert!(!both(&public_key, b"once", &joined(r, sum)), "S + L is the same scalar in another form");
        assert!(!both(&public_key, b"once", &joined(r, ORDER)));
    }

    #[test]
    fn points_of_small_order_and_forms_that_are_none_are_judged_alike() {
        let (pair, honest) = pair(3);
        // Every point of small order, and forms of y that are not below the field's prime.
        let mut forms: Vec<[u8; 32]> =
            EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
        for low in 0xec..=0xff {
            for high in [0x7f, 0xff] {
                let mut form = [0xff; 32];
                (form[0], form[31]) = (low, high);
                forms.push(form);
            }
        }
        forms.extend([0_u8, 1, 2, 3].map(|low| {
            let mut form = [0; 32];
            (form[0], form[31]) = (low, 0x80);
            form
        }));
        let mut accepted = 0;
        for key in &forms {
            for r in &forms {
                for message in 0..4_u8 {
                    accepted += u32::from(both(key, &[message], &joined(*r, [0; 32])));
                }
            }
        }
        assert!(accepted > 0, "some of these hold without the cofactor");
        // An honest signature whose R has a part of small order: [8] would hide it.
        let signature: [u8; 64] = pair.sign(b"part").as_ref().try_into().expect("64 bytes");
        let ([r, s], []) = signature.as_chunks::<32>() else { panic!("64 bytes") };
        let r: EdwardsPoint = CompressedEdwardsY(*r).decompress().expect("a point");
        for torsion in &EIGHT_TORSION[1..] {
            let moved = (r + torsion).compress().to_bytes();
            assert!(!both(&honest, b"part", &joined(moved, *s)));
        }
    }
}

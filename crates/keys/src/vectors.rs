//! Keys of the curves against what others published.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use venue::Algorithm;

use crate::secp256k1::Secp256k1Key;
use crate::{KeyError, SecretText, SigningKey};

/// RFC 6979 A.2.5: P-256, private and public key.
const P256: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const P256_PUBLIC: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                           7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
/// The same, SHA-256 of the message `sample`, as the RFC signs it.
const P256_SAMPLE: &str = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                           f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
/// EIP-712's example: the key is the Keccak-256 of `cow`.
const COW: &str = "c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4";

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}

fn pem(label: &str, der: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(unhex(der)))
}

fn key(text: &str) -> Result<SigningKey, KeyError> {
    SigningKey::parse(&SecretText::new(text.to_owned()))
}

/// The number as SEC1 and as PKCS#8, with the curve's object identifier.
fn ders(number: &str, curve: &str) -> [String; 2] {
    let length = curve.len() / 2;
    let sec1 = format!("30{:02x}0201010420{number}a0{length:02x}{curve}", 39 + length);
    let inner = format!("302502010104{}{number}", "20");
    let algorithm = format!("30{:02x}06072a8648ce3d0201{curve}", 9 + length);
    let pkcs8 = format!("30{:02x}020100{algorithm}0427{inner}", 3 + 11 + length + 41);
    [sec1, pkcs8]
}

const P256_OID: &str = "06082a8648ce3d030107";
const SECP256K1_OID: &str = "06052b8104000a";
const P384_OID: &str = "06052b81040022";

#[test]
fn p256_reads_sec1_and_pkcs8_and_signs_for_the_rfcs_public_key() {
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, unhex(P256_PUBLIC));
    public.verify(b"sample", &unhex(P256_SAMPLE)).expect("the RFC's own signature");
    let [sec1, pkcs8] = ders(P256, P256_OID);
    let with_parameters = format!("{}{}", pem("EC PARAMETERS", P256_OID), pem("EC PRIVATE KEY", &sec1));
    for text in [pem("EC PRIVATE KEY", &sec1), pem("PRIVATE KEY", &pkcs8), with_parameters] {
        let key = key(&text).expect("a key");
        assert_eq!(key.algorithm(), Algorithm::EcdsaP256Sha256);
        let signature = key.sign(b"sample");
        assert_eq!(signature.len(), 64);
        public.verify(b"sample", &signature).expect("ours verifies under the RFC's key");
        assert!(public.verify(b"simple", &signature).is_err());
    }
}

#[test]
fn secp256k1_signs_eip_712s_example_to_the_byte() {
    let message = unhex(&format!(
        "1901{}{}",
        "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f",
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    ));
    let published = "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d\
                     07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c";
    let [sec1, pkcs8] = ders(COW, SECP256K1_OID);
    for text in [format!("0x{COW}"), pem("EC PRIVATE KEY", &sec1), pem("PRIVATE KEY", &pkcs8)] {
        let key = key(&text).expect("a key");
        assert_eq!(key.algorithm(), Algorithm::EcdsaSecp256k1Keccak256);
        assert_eq!(hex::encode(key.sign(&message)), published);
    }
}

#[test]
fn secp256k1_takes_the_nonce_of_rfc_6979_and_the_lower_s() {
    // The vector of bitcoin's libraries: key 1, SHA-256 of `Satoshi Nakamoto`.
    let digest = unhex("a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e");
    let one = Secp256k1Key::from_hex(&format!("{:064x}", 1)).expect("a key");
    let signature = one.sign_digest(digest.try_into().expect("32 bytes"));
    assert_eq!(
        hex::encode(&signature[..64]),
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
         2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    );
    assert!(matches!(signature[64], 27 | 28));
}

#[test]
fn no_number_of_the_group_and_no_other_curve_is_a_key() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for digits in [&"0".repeat(64), order, &"f".repeat(64), &"g".repeat(64)] {
        assert_eq!(key(&format!("0x{digits}")).err(), Some(KeyError::Hexadecimal), "{digits}");
    }
    let [sec1, pkcs8] = ders(P256, P384_OID);
    assert_eq!(key(&pem("EC PRIVATE KEY", &sec1)).err(), Some(KeyError::UnknownKind));
    assert_eq!(key(&pem("PRIVATE KEY", &pkcs8)).err(), Some(KeyError::UnknownKind));
    // A venue's secret is used as it is, whatever its letters.
    for secret in [COW.to_owned(), format!("0x{}", &COW[2..])] {
        assert_eq!(key(&secret).expect("a secret").algorithm(), Algorithm::HmacSha256);
    }
}

#[test]
fn a_curves_key_never_prints_itself() {
    let printed = format!("{:?}", key(&format!("0x{COW}")).expect("a key"));
    assert_eq!(printed, "SigningKey(..)");
}

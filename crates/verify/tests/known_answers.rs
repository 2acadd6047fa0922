//! Known answers from the RFCs, and keys that must be refused.
mod both;

use countersign_verify::{Key, KeyError, RsaAlgorithm, RsaPublicKey};

use both::verify;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// RFC 6979 A.2.5: P-256, SHA-256, message "sample".
#[test]
fn rfc_6979_es256() {
    let key = Key::es256(
        &hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"),
        &hex("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"),
    )
    .unwrap();
    let signature = hex(concat!(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    ));
    assert!(verify(&key, b"sample", &signature));
    assert!(!verify(&key, b"Sample", &signature));
    for length in [0, 63, 65, 66, 96] {
        let mut other = signature.clone();
        other.resize(length, 0);
        assert!(!verify(&key, b"sample", &other), "{length} bytes");
    }
    for zeroed in [0..32, 32..64] {
        let mut other = signature.clone();
        other[zeroed].fill(0);
        assert!(!verify(&key, b"sample", &other));
    }
}

/// RFC 6979 A.2.6: P-384, SHA-384, message "sample".
#[test]
fn rfc_6979_es384() {
    let key = Key::es384(
        &hex(concat!(
            "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64",
            "def8f0ea9055866064a254515480bc13"
        )),
        &hex(concat!(
            "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1",
            "288b231c3ae0d4fe7344fd2533264720"
        )),
    )
    .unwrap();
    let signature = hex(concat!(
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c",
        "81a648152e44acf96e36dd1e80fabe46",
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f",
        "a329c145786e679e7b82c71a38628ac8"
    ));
    assert!(verify(&key, b"sample", &signature));
    assert!(!verify(&key, b"Sample", &signature));
    for length in [0, 64, 95, 97, 98, 104] {
        let mut other = signature.clone();
        other.resize(length, 0);
        assert!(!verify(&key, b"sample", &other), "{length} bytes");
    }
    for zeroed in [0..48, 48..96] {
        let mut other = signature.clone();
        other[zeroed].fill(0);
        assert!(!verify(&key, b"sample", &other));
    }
}

/// RFC 8017 §9.1: with 2049 bits the encoded message is a byte shorter than the modulus, which
/// verifiers have got wrong. The signatures were made by OpenSSL 3.0.
#[test]
fn pss_with_a_modulus_of_2049_bits() {
    let modulus = hex(include_str!("pss2049/modulus.hex").trim_end());
    assert_eq!((modulus.len(), modulus[0]), (257, 1));
    let public = RsaPublicKey::new(&modulus, &[1, 0, 1]).unwrap();
    let message = b"PSS with a modulus of 2049 bits";
    for (algorithm, signature) in [
        (RsaAlgorithm::Ps256, include_str!("pss2049/ps256.hex")),
        (RsaAlgorithm::Ps384, include_str!("pss2049/ps384.hex")),
        (RsaAlgorithm::Ps512, include_str!("pss2049/ps512.hex")),
    ] {
        let signature = hex(signature.trim_end());
        let key = Key::rsa(&public, algorithm);
        assert!(verify(&key, message, &signature), "{algorithm:?}");
        assert!(!verify(&key, b"another message", &signature), "{algorithm:?}");
        assert!(!verify(&key, message, &signature[1..]), "{algorithm:?}");
        assert!(!verify(&key, message, &[&[0], &signature[..]].concat()), "{algorithm:?}");
        // RFC 8017 §5.2.2: the representative must be below the modulus.
        assert!(!verify(&key, message, &plus(&signature, &modulus)), "{algorithm:?}");
    }
}

/// The sum of two numbers, in as many bytes as the first.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = a.to_vec();
    let mut carry = 0;
    for (byte, other) in sum.iter_mut().rev().zip(b.iter().rev()) {
        let digit = u16::from(*byte) + u16::from(*other) + carry;
        *byte = u8::try_from(digit % 256).unwrap();
        carry = digit / 256;
    }
    sum
}

/// RFC 7518 §3.2: HMAC takes no part of a tag for the whole. RFC 4231 has no case with a secret that
/// is both long enough and not made up; this one is by OpenSSL 3.0.
#[test]
fn hs256() {
    let secret = hex("1e225cafb90339bba1b24076d4206c3e79c355805d851682bc818baa4f5a7779");
    let key = Key::hs256(&secret).unwrap();
    let tag = hex("a63272d1e5990f845c9a7d9f2458bf0eaf747081eaa8bfc631db2ae700a9fa7f");
    assert!(verify(&key, b"sample", &tag));
    assert!(!verify(&key, b"Sample", &tag));
    for length in [0, 1, 16, 31] {
        assert!(!verify(&key, b"sample", &tag[..length]), "{length} bytes");
    }
    assert!(!verify(&key, b"sample", &[&tag[..], &[0]].concat()));
    assert_eq!(format!("{key:?}"), "Key(HS256)");
    assert_eq!(Key::hs256(&secret[..31]).unwrap_err(), KeyError::WeakSecret);
}

/// RFC 8032 §7.1, test 2.
#[test]
fn rfc_8032_ed25519() {
    let key =
        Key::ed25519(&hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
            .unwrap();
    let mut signature = hex(concat!(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    ));
    assert!(verify(&key, &[0x72], &signature));
    assert!(!verify(&key, &[0x73], &signature));
    signature[63] |= 0x20;
    assert!(!verify(&key, &[0x72], &signature), "s must be reduced");
}

/// RFC 8725 §3.5 and the traps of well-known libraries.
#[test]
fn weak_keys_are_refused() {
    let identity = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    assert_eq!(Key::ed25519(&identity).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(Key::ed25519(&[0xff; 32]).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(Key::ed25519(&[0; 31]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(Key::es256(&[0; 31], &[0; 32]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(Key::es256(&[0; 32], &[0; 32]).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(Key::es256(&[1; 33], &[1; 31]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(Key::es384(&[0; 32], &[0; 32]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(Key::es384(&[0; 48], &[0; 48]).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(Key::es384(&[0xff; 48], &[0xff; 48]).unwrap_err(), KeyError::InvalidPoint);

    let modulus = [0xff_u8; 256];
    assert!(RsaPublicKey::new(&modulus, &[1, 0, 1]).is_ok());
    assert_eq!(RsaPublicKey::new(&modulus[..128], &[1, 0, 1]).unwrap_err(), KeyError::WeakRsaKey);
    assert_eq!(RsaPublicKey::new(&[0xff; 1025], &[1, 0, 1]).unwrap_err(), KeyError::WeakRsaKey);
    let mut even = modulus;
    even[255] = 0xfe;
    assert_eq!(RsaPublicKey::new(&even, &[1, 0, 1]).unwrap_err(), KeyError::WeakRsaKey);
    for exponent in [&[1_u8][..], &[3], &[4], &[1, 0, 0], &[2, 0, 0, 0, 1]] {
        assert_eq!(
            RsaPublicKey::new(&modulus, exponent).unwrap_err(),
            KeyError::WeakRsaKey,
            "{exponent:?}"
        );
    }
    assert_eq!(RsaPublicKey::new(&modulus, &[]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(RsaPublicKey::new(&modulus, &[0, 1, 0, 1]).unwrap_err(), KeyError::InvalidLength);
}

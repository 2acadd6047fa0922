//! Known answers from the RFCs, and keys that must be refused.
use countersign_verify::{Key, KeyError, RsaPublicKey};

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
    assert!(key.verify(b"sample", &signature));
    assert!(!key.verify(b"Sample", &signature));
    for length in [0, 63, 65, 66, 96] {
        let mut other = signature.clone();
        other.resize(length, 0);
        assert!(!key.verify(b"sample", &other), "{length} bytes");
    }
    for zeroed in [0..32, 32..64] {
        let mut other = signature.clone();
        other[zeroed].fill(0);
        assert!(!key.verify(b"sample", &other));
    }
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
    assert!(key.verify(&[0x72], &signature));
    assert!(!key.verify(&[0x73], &signature));
    signature[63] |= 0x20;
    assert!(!key.verify(&[0x72], &signature), "s must be reduced");
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

//! Keys as SubjectPublicKeyInfo and as SEC 1 points, made by OpenSSL 3.0, which also signed.
mod both;

use countersign_verify::{Key, KeyError, RsaAlgorithm, RsaPublicKey};

use both::verify;

const MESSAGE: &[u8] = b"SubjectPublicKeyInfo";

const P256: &str = concat!(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004109d4704a70c0bc092f8739483a8e79c41",
    "6f8816f1ea5b03bb6e137526ad961aa895e67cb22278f03ab18e456f6abe974d0ea84f163b36e66f418ee66b",
    "ae012f",
);
const P256_COMPRESSED: &str = concat!(
    "3039301306072a8648ce3d020106082a8648ce3d03010703220003109d4704a70c0bc092f8739483a8e79c41",
    "6f8816f1ea5b03bb6e137526ad961a",
);
const P256_SIGNATURE: &str = concat!(
    "fcd807a9d5c658d0f9944ee94331aae0d07a737b5827add1510e1a35307c3fc039a6d5965da2e1663d83cd74",
    "cdd2efcba5197aa318e36702bb2e7effc5459fef",
);
const P384: &str = concat!(
    "3076301006072a8648ce3d020106052b8104002203620004259bb154c47039b730e2a5723c7b8711669e9104",
    "70d35155edc5eec8d3c64328106c0560d3142bb0819cf06ce993f1c1700cdd1ebca3785403a1923588175c1e",
    "4d3d3dfcb62de3bf9ba2320e899f7da2ace0af31403b7d1deff11bf1fba10eda",
);
const P384_COMPRESSED: &str = concat!(
    "3046301006072a8648ce3d020106052b8104002203320002259bb154c47039b730e2a5723c7b8711669e9104",
    "70d35155edc5eec8d3c64328106c0560d3142bb0819cf06ce993f1c1",
);
const P384_SIGNATURE: &str = concat!(
    "19f228b9055946394ec589cb755175d4bd266eba645fdfe3944afa3d0006014ca91af0567a0db2dff0ef39dd",
    "f4bac776ddb91700206830dd656f80e744169caa0f0a3c13fecd7ed7fc03448085ca18047ff0f9001cd30ba9",
    "3bbec9a7e99342d8",
);
const ED25519: &str =
    "302a300506032b65700321006567a6cd0ad98e36346a6bc61e3518e7ef9aeebc6af37e7de49be201e23fe6c9";
const ED25519_SIGNATURE: &str = concat!(
    "fcd0fdae5ee1ca8d32e3c8e1f97f107b07dcc57425dcd2e5b734419284477d3f46b5c48aa5c0459365326239",
    "eba35de0e086a8ca993a44c2328fafed3b659108",
);
const RSA: &str = concat!(
    "30820122300d06092a864886f70d01010105000382010f003082010a0282010100b82382928beccebd13725e",
    "d75ab067dbdf5408cc56258d971ae4e08782c2aca6b6e559a556e3d6683e020e09e47c4d90841c5c95a4c2dc",
    "5815eb15e5ec1bdaee1e777caeeab150d69bc64f1fbeef1972bb5f0e708a1e3e02cb5b928fc2f4d356e76d5b",
    "a306fe2552d630dc5ffce7b9fff7086ebed4eb3a7e6273a1a807dd49847dbd7cd28c31eebecf7026c89cae97",
    "69627f76c2e7482cc04f924e7326ab6ec1fbed0729df035a1ac0e48d4749002639f2d4617003691fb0df2df9",
    "9130e7743bd8d4bcb20bce4921734aeacc4af251f6c5b4aeb99e9f76a889223a6df5f8e209427fb00e980f42",
    "dda8717d05df4af88fbaacd746f4753045f2d0426ce4ac6a430203010001",
);
const RSA_SIGNATURE: &str = concat!(
    "84b0c3b850fd80bcbd21da670a426635e43194cc0d041ee2927bc58d3e06811761db3821f75c518507b2e7c9",
    "379d1ec9d02873259e11bab60b54b189d4e97b62d41f157f45a4cf771ab17ccb848f3aae1b19dfae5e61eb92",
    "0283c00f36f52b7191f75b3a1071e35d7a45b65db68fbd0d7c9e8022de867fe33e58f6d70a4f05dfe52580ba",
    "ce9d08c0f23a1dd1400e1c4b1c1f76196654f904d365cfc8875a6692365af915c80e7d834d7c1fddc1fe26f3",
    "7a731933c1b00872e693d387c89461223a2261e757fe380307f1111e3acd4802fd9b482f627b306ade47e3ab",
    "f05d39026cde8e55a889dbe7ac2937d8ca0d93eabab67a9d52e6df886efbfa9b85dc4637",
);

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn rs256(der: &[u8]) -> Result<Key, KeyError> {
    RsaPublicKey::from_spki(der).map(|public| Key::rsa(&public, RsaAlgorithm::Rs256))
}

type FromSpki = fn(&[u8]) -> Result<Key, KeyError>;

/// A kind of key, one in DER, how long the key itself is in it, and its signature of the message.
const KEYS: [(FromSpki, &str, usize, &str); 6] = [
    (Key::ed25519_from_spki, ED25519, 32, ED25519_SIGNATURE),
    (Key::es256_from_spki, P256, 65, P256_SIGNATURE),
    (Key::es256_from_spki, P256_COMPRESSED, 33, P256_SIGNATURE),
    (Key::es384_from_spki, P384, 97, P384_SIGNATURE),
    (Key::es384_from_spki, P384_COMPRESSED, 49, P384_SIGNATURE),
    (rs256, RSA, 257 + 5, RSA_SIGNATURE),
];

#[test]
fn keys_verify() {
    for (from_spki, der, _, signature) in KEYS {
        let (key, signature) = (from_spki(&hex(der)).unwrap(), hex(signature));
        assert!(verify(&key, MESSAGE, &signature), "{key:?}");
        assert!(!verify(&key, b"another", &signature), "{key:?}");
    }
}

/// No bit of what is around a key may be another, nothing may follow or be missing, and no kind of key is
/// taken for another.
#[test]
fn one_spelling_only() {
    for (from_spki, der, key_length, _) in KEYS {
        let der = hex(der);
        for bit in 0..8 * (der.len() - key_length) {
            let mut other = der.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(from_spki(&other).is_err(), "bit {bit} of {}", der.len());
        }
        for length in 0..der.len() {
            assert!(from_spki(&der[..length]).is_err(), "{length} of {}", der.len());
        }
        assert_eq!(from_spki(&[&der[..], &[0]].concat()).unwrap_err(), KeyError::InvalidEncoding);
        for (other, ..) in
            KEYS.iter().filter(|(other, ..)| !std::ptr::fn_addr_eq(*other, from_spki))
        {
            assert_eq!(other(&der).unwrap_err(), KeyError::InvalidEncoding);
        }
    }
    // Lengths and integers that are longer than they need to be.
    let der = hex(P256);
    let long = [&[0x30, 0x81, 0x59][..], &der[2..]].concat();
    assert_eq!(Key::es256_from_spki(&long).unwrap_err(), KeyError::InvalidEncoding);
    let der = hex(RSA);
    let mut padded = [&der[..der.len() - 3], &[0, 1, 0, 1]].concat();
    for length in [3, 22, 27, padded.len() - 5] {
        padded[length] += 1;
    }
    assert_eq!(RsaPublicKey::from_spki(&padded).unwrap_err(), KeyError::InvalidEncoding);
}

/// SEC 1 §2.3.3: a point has one compressed form and one that is not; hybrid forms and the point at infinity
/// are no keys.
#[test]
fn points() {
    let point = hex(P256)[26..].to_vec();
    let compressed = hex(P256_COMPRESSED)[26..].to_vec();
    let signature = hex(P256_SIGNATURE);
    for point in [&point, &compressed] {
        assert!(verify(&Key::es256_from_sec1(point).unwrap(), MESSAGE, &signature));
    }
    let mut opposite = compressed.clone();
    opposite[0] ^= 1;
    let opposite = Key::es256_from_sec1(&opposite).unwrap();
    assert!(!verify(&opposite, MESSAGE, &signature), "the other y");
    for first in [0, 1, 5, 6, 7] {
        let mut other = point.clone();
        other[0] = first;
        assert_eq!(Key::es256_from_sec1(&other).unwrap_err(), KeyError::InvalidPoint, "{first}");
    }
    assert!(Key::es256_from_sec1(&[0]).is_err() && Key::es256_from_sec1(&[]).is_err());
    assert_eq!(Key::es256_from_sec1(&point[..64]).unwrap_err(), KeyError::InvalidLength);
    assert_eq!(Key::es256_from_sec1(&compressed[..32]).unwrap_err(), KeyError::InvalidLength);
    let mut off = point;
    off[64] ^= 1;
    assert_eq!(Key::es256_from_sec1(&off).unwrap_err(), KeyError::InvalidPoint);
    assert_eq!(Key::es384_from_sec1(&compressed).unwrap_err(), KeyError::InvalidLength);
}

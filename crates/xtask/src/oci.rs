//! An OCI image layout with one file in it, made without a daemon: what Istio and Envoy Gateway pull.
//!
//! The "compat" variant of the Wasm image specification (solo-io/wasm, spec-compat.md): an ordinary image
//! whose only layer, a gzipped tar, has the module as `plugin.wasm`. Nothing in it depends on when or where
//! it is made.

use std::path::Path;

use countersign_e2e::Outcome;
use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest as _, Sha256};

use crate::command::{make_dir, remove_dir, write};

/// Writes the layout of an image with this module into `dir`; the digest of its manifest.
pub(crate) fn write_layout(dir: &Path, module: &[u8], version: &str) -> Outcome<String> {
    remove_dir(dir)?;
    make_dir(&dir.join("blobs/sha256"))?;
    let blob = |content: &[u8]| -> Outcome<String> {
        let digest = sha256(content);
        write(&dir.join("blobs/sha256").join(&digest), content)?;
        Ok(digest)
    };
    let archive = tar("plugin.wasm", module);
    let layer = gzip(&archive);
    let layer_digest = blob(&layer)?;
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        sha256(&archive)
    );
    let config_digest = blob(config.as_bytes())?;
    let manifest = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{}","size":{}}},"#,
            r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:{}","size":{}}}],"#,
            r#""annotations":{{"org.opencontainers.image.title":"countersign-envoy","#,
            r#""org.opencontainers.image.version":"{}","module.wasm.image/variant":"compat"}}}}"#
        ),
        config_digest,
        config.len(),
        layer_digest,
        layer.len(),
        version
    );
    let digest = blob(manifest.as_bytes())?;
    let index = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"#,
            r#""mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{}","size":{},"#,
            r#""annotations":{{"org.opencontainers.image.ref.name":"{}"}}}}]}}"#
        ),
        digest,
        manifest.len(),
        version
    );
    write(&dir.join("index.json"), index)?;
    write(&dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(digest)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tar archive (POSIX.1-1988, "ustar") with one file that anybody may read.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| {
        for (to, from) in header.iter_mut().skip(at).zip(text.bytes()) {
            *to = from;
        }
    };
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    // The checksum is made with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (to, from) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *to = from;
    }
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

/// A gzip file (RFC 1952) without name and time.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    file.extend(compress_to_vec(content, 9));
    file.extend(crc32(content).to_le_bytes());
    // Modulo 2^32, as the format wants it.
    let [b0, b1, b2, b3, ..] = content.len().to_le_bytes();
    file.extend([b0, b1, b2, b3]);
    file
}

fn crc32(content: &[u8]) -> u32 {
    !content.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use countersign_e2e::Scratch;

    use super::{crc32, sha256, write_layout};

    #[test]
    fn known_answers() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert!(sha256(b"abc").starts_with("ba7816bf8f01cfea"));
    }

    /// Read by programs that we did not write: digests by sha256sum, the layer by tar.
    #[test]
    fn others_can_read_it_and_it_is_always_the_same() {
        let scratch = Scratch::new().unwrap();
        let module: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let [one, other] = ["one", "other"].map(|name| scratch.path().join(name));
        let digest = write_layout(&one, &module, "1.2.3").unwrap();
        assert_eq!(write_layout(&other, &module, "1.2.3").unwrap(), digest);
        let same = Command::new("diff").arg("-r").args([&one, &other]).status().unwrap();
        assert!(same.success());
        let blobs = std::fs::read_dir(one.join("blobs/sha256")).unwrap();
        let mut layer = None;
        for blob in blobs.map(|blob| blob.unwrap().path()) {
            let name = blob.file_name().unwrap().to_str().unwrap().to_owned();
            let sum = Command::new("sha256sum").arg(&blob).output().unwrap().stdout;
            assert!(String::from_utf8(sum).unwrap().starts_with(&name));
            if std::fs::read(&blob).unwrap().starts_with(&[0x1f, 0x8b]) {
                layer = Some(blob);
            }
        }
        let out = scratch.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let mut tar = Command::new("tar");
        let status = tar.arg("xzf").arg(layer.unwrap()).arg("-C").arg(&out).status().unwrap();
        assert!(status.success());
        assert_eq!(std::fs::read(out.join("plugin.wasm")).unwrap(), module);
        let index = std::fs::read_to_string(one.join("index.json")).unwrap();
        assert!(index.contains(&format!("sha256:{digest}")) && index.contains("1.2.3"));
    }
}

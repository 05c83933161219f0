//! The usual mistakes in PEM files, described for operators; a parser only calls such a file
//! unreadable. Never repeats the contents of a file. Pure.

/// What a file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemFile {
    /// Certificates, the server's or those of authorities.
    Certificates,
    /// A private key.
    Key,
}

/// The labels of sections that hold a private key (RFC 7468, section 13; OpenSSL's own).
const KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// The first byte of DER here: a sequence (X.690).
const DER_SEQUENCE: u8 = 0x30;

impl PemFile {
    /// Returns the mistake in a file, if it is a usual one.
    #[must_use]
    pub fn fault(self, bytes: &[u8]) -> Option<String> {
        encoding_fault(bytes).or_else(|| self.wrong_content(bytes))
    }

    fn wrong_content(self, bytes: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        let labels: Vec<_> = text.lines().filter_map(label).collect();
        let has = |label: &str| labels.contains(&label);
        let has_key = KEYS.iter().any(|label| has(label));
        let has_certificate = has("CERTIFICATE");
        let reason = match self {
            Self::Key if has("ENCRYPTED PRIVATE KEY") || is_encrypted(&text) => {
                "the private key is encrypted, and the server has no passphrase: decrypt it with \
                 `openssl pkey -in FILE -out NEW`"
            }
            Self::Key if has_key => return None,
            Self::Key if has_certificate => {
                "holds a certificate and no private key: are certificate and key swapped?"
            }
            Self::Key if has("PUBLIC KEY") => "holds a public key: the private key is needed",
            Self::Key => "holds no private key",
            Self::Certificates if has_certificate => return None,
            Self::Certificates if has_key || has("ENCRYPTED PRIVATE KEY") => {
                "holds a private key and no certificate: are certificate and key swapped?"
            }
            Self::Certificates if has("CERTIFICATE REQUEST") => {
                "holds a certificate request: the certificate that was issued for it is needed"
            }
            Self::Certificates => "holds no certificate",
        };
        Some(reason.to_owned())
    }
}

/// The mistakes that keep a parser from finding any section.
fn encoding_fault(bytes: &[u8]) -> Option<String> {
    let reason = match bytes {
        [] => "is empty",
        [0xef, 0xbb, 0xbf, ..] => {
            "begins with a byte order mark (BOM): save it as plain ASCII without one"
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'-', ..] | [b'-', 0, ..] => {
            "is UTF-16, not ASCII: save it as plain ASCII without a byte order mark (BOM)"
        }
        [DER_SEQUENCE, second, ..] if *second >= 0x80 => {
            "is binary (DER or PKCS #12), not PEM: convert it with `openssl x509 -inform der`, \
             `openssl pkey -inform der` or `openssl pkcs12 -nodes`"
        }
        _ => return None,
    };
    Some(reason.to_owned())
}

/// The label of the section that this line begins.
fn label(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix("-----BEGIN ")?
        .strip_suffix("-----")
}

/// Whether a key has OpenSSL's older header of encryption (RFC 1421, section 4.6.1.1).
fn is_encrypted(text: &str) -> bool {
    let mut headers = text.lines().filter_map(|line| line.split_once(':'));
    headers.any(|(name, value)| name.trim() == "Proc-Type" && value.contains("ENCRYPTED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(label: &str) -> Vec<u8> {
        format!("-----BEGIN {label}-----\r\nAAAA\r\n-----END {label}-----\r\n").into_bytes()
    }

    #[test]
    fn usual_mistakes_are_named() {
        let plain = section("PRIVATE KEY");
        let mut with_mark = b"\xef\xbb\xbf".to_vec();
        with_mark.extend(&plain);
        let utf16 = |to: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
            let text = format!("{mark}{}", String::from_utf8_lossy(&plain));
            text.encode_utf16().flat_map(to).collect()
        };
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                   DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let both = [section("CERTIFICATE"), section("EC PRIVATE KEY")].concat();
        let key: &[(Vec<u8>, Option<&str>)] = &[
            (plain.clone(), None),
            (both.clone(), None),
            (
                [section("EC PARAMETERS"), section("EC PRIVATE KEY")].concat(),
                None,
            ),
            (section("ENCRYPTED PRIVATE KEY"), Some("is encrypted")),
            (old.into(), Some("is encrypted")),
            (with_mark.clone(), Some("byte order mark")),
            (utf16(u16::to_le_bytes, "\u{feff}"), Some("UTF-16")),
            (utf16(u16::to_be_bytes, "\u{feff}"), Some("UTF-16")),
            (utf16(u16::to_le_bytes, ""), Some("UTF-16")),
            (utf16(u16::to_be_bytes, ""), Some("UTF-16")),
            (section("CERTIFICATE"), Some("swapped")),
            (section("PUBLIC KEY"), Some("public key")),
            (section("OPENSSH PRIVATE KEY"), Some("no private key")),
            (b"\x30\x82\x04\xa3\x02\x01\x00".to_vec(), Some("DER")),
            (b"0 is no key".to_vec(), Some("no private key")),
            (Vec::new(), Some("is empty")),
        ];
        let certificates: &[(Vec<u8>, Option<&str>)] = &[
            (section("CERTIFICATE"), None),
            (both, None),
            (plain.clone(), Some("swapped")),
            (section("ENCRYPTED PRIVATE KEY"), Some("swapped")),
            (section("CERTIFICATE REQUEST"), Some("request")),
            (with_mark, Some("byte order mark")),
            (b"\x30\x82\x04\xa3".to_vec(), Some("DER")),
            (b"hello".to_vec(), Some("no certificate")),
            (Vec::new(), Some("is empty")),
        ];
        for (kind, cases) in [(PemFile::Key, key), (PemFile::Certificates, certificates)] {
            for (bytes, expected) in cases {
                let fault = kind.fault(bytes);
                let about = format!("{kind:?} {:?}: {fault:?}", String::from_utf8_lossy(bytes));
                match expected {
                    Some(word) => assert!(fault.unwrap_or_default().contains(word), "{about}"),
                    None => assert_eq!(fault, None, "{about}"),
                }
            }
        }
    }
}

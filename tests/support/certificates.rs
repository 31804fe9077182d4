//! An authority of the tests, and the certificates that it has signed.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// Makes an authority, and two certificates for `shop.invalid`, `localhost` and 127.0.0.1, one of which has expired.
const SCRIPT: &str = r"
set -e
new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $new -keyout ca.key -out ca.pem -days 2 -subj /CN=authority
touch index
cat >ca.conf <<END
[ca]
default_ca = ca_default
[ca_default]
database = index
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:shop.invalid,DNS:localhost,IP:127.0.0.1
END
for name in good expired; do
  openssl req $new -keyout $name.key -out $name.csr -subj /CN=receiver
  case $name in good) until=99991231235959Z;; *) until=20200102000000Z;; esac
  openssl ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in $name.csr -out $name.pem \
    -startdate 20200101000000Z -enddate $until
done
";

/// The authority, as long as this is.
pub struct Authority(TempDir);

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Command::new("sh")
            .args(["-c", SCRIPT])
            .current_dir(directory.path())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl makes certificates");
        Self(directory)
    }

    /// The file with its own certificate.
    pub fn file(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// What trusts it, and no other.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.file()).unwrap();
        roots.add(certificate).unwrap();
        roots
    }

    /// A server with the certificate of that name: `good` or `expired`.
    pub fn acceptor(&self, name: &str) -> TlsAcceptor {
        let path = |kind: &str| self.0.path().join(format!("{name}.{kind}"));
        let certificate = CertificateDer::from_pem_file(path("pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(path("key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

//! A TLS endpoint, with an authority of its own, in front of a local service.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A TLS endpoint for `localhost`.
pub struct Tls {
    address: SocketAddr,
    authority: String,
    folder: PathBuf,
    service: Arc<OnceLock<SocketAddr>>,
}

impl Tls {
    /// Starts an endpoint. It passes connections on once [`Tls::pass_to`] has named the service.
    pub async fn start() -> Self {
        static ENDPOINTS: AtomicU32 = AtomicU32::new(0);
        let number = ENDPOINTS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();

        let (authority, config) = certificates();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Arc::new(OnceLock::new());
        let known = Arc::clone(&service);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, known) = (acceptor.clone(), Arc::clone(&known));
                // A client that does not trust the certificate hangs up.
                tokio::spawn(async move {
                    client.set_nodelay(true)?;
                    let mut client = acceptor.accept(client).await?;
                    let address = known.get().copied().expect("pass_to was called");
                    let mut server = TcpStream::connect(address).await?;
                    server.set_nodelay(true)?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            address,
            authority,
            folder,
            service,
        }
    }

    /// Passes on to a service.
    pub fn pass_to(&self, service: SocketAddr) {
        self.service.set(service).unwrap();
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a URL: `https://localhost:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Its authority's certificate, in PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path of a file that holds `certificates`, and is gone with the endpoint.
    #[must_use]
    pub fn bundle(&self, certificates: &str) -> String {
        let file = self.folder.join("bundle.pem");
        fs::write(&file, certificates).unwrap();
        Path::to_str(&file).unwrap().to_owned()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        // What is left is in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An authority, and a server's configuration with a certificate that it has signed.
fn certificates() -> (String, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), config)
}

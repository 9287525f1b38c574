//! The keys of a session, for each direction by itself.
//!
//! rustls makes them in the handshake, and hands them over with what makes the next ones
//! ([`rustls::kernel`]). Its own connections keep both directions and their buffers in one object; that
//! costs a lock between reader and writer and a copy of every record. What protects a record stays
//! rustls's: here they are only counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;
use rustls::crypto::cipher::{AeadKey, Iv, MessageDecrypter, MessageEncrypter};
use rustls::kernel::KernelConnection;
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, Error, ExtractedSecrets, Tls13CipherSuite,
};

/// What both directions of a session share; neither waits for the other with it but when keys change.
pub(super) struct Keys {
    suite: &'static Tls13CipherSuite,
    next: Mutex<Box<dyn Next>>,
    /// Whether the peer wants new keys from us.
    asked: AtomicBool,
    /// The alert that the reader has for the peer; 0, which is a goodbye, for none.
    alert: AtomicU8,
}

/// Makes the next secrets of a direction.
pub(super) trait Next: Send {
    fn sending(&mut self) -> Result<ConnectionTrafficSecrets, Error>;
    fn receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error>;
}

impl<Data: Send> Next for KernelConnection<Data> {
    fn sending(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.update_tx_secret().map(|(_, secrets)| secrets)
    }

    fn receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.update_rx_secret().map(|(_, secrets)| secrets)
    }
}

/// Protects what is sent, and counts it.
pub(super) struct Sending {
    pub(super) protect: Box<dyn MessageEncrypter>,
    /// The number of the next record.
    pub(super) number: u64,
}

/// Opens what comes, and counts it.
pub(super) struct Receiving {
    pub(super) open: Box<dyn MessageDecrypter>,
    /// The number of the next record.
    pub(super) number: u64,
}

impl Keys {
    /// Of a session whose handshake is over.
    pub(super) fn new<Data: Send + 'static>(
        secrets: ExtractedSecrets,
        next: KernelConnection<Data>,
    ) -> Result<(Arc<Self>, Sending, Receiving), Error> {
        let suite = next.negotiated_cipher_suite();
        let suite = suite.tls13().ok_or(Error::HandshakeNotComplete)?;
        Self::with(suite, secrets, Box::new(next))
    }

    /// Of these secrets and those that `next` makes.
    pub(super) fn with(
        suite: &'static Tls13CipherSuite,
        ExtractedSecrets { tx, rx }: ExtractedSecrets,
        next: Box<dyn Next>,
    ) -> Result<(Arc<Self>, Sending, Receiving), Error> {
        let keys = Self {
            suite,
            next: Mutex::new(next),
            asked: AtomicBool::new(false),
            alert: AtomicU8::new(0),
        };
        let mut sending = keys.for_sending(tx.1)?;
        sending.number = tx.0;
        let mut receiving = keys.for_receiving(rx.1)?;
        receiving.number = rx.0;
        Ok((Arc::new(keys), sending, receiving))
    }

    /// How many records one key may protect.
    pub(super) const fn records_max(&self) -> u64 {
        self.suite.common.confidentiality_limit
    }

    /// The keys after these, for what is sent.
    pub(super) fn next_for_sending(&self) -> Result<Sending, Error> {
        let secrets = self.next.lock().sending()?;
        self.for_sending(secrets)
    }

    /// The keys after these, for what comes.
    pub(super) fn next_for_receiving(&self) -> Result<Receiving, Error> {
        let secrets = self.next.lock().receiving()?;
        self.for_receiving(secrets)
    }

    fn for_sending(&self, secrets: ConnectionTrafficSecrets) -> Result<Sending, Error> {
        let (key, iv) = parts(secrets)?;
        Ok(Sending { protect: self.suite.aead_alg.encrypter(key, iv), number: 0 })
    }

    fn for_receiving(&self, secrets: ConnectionTrafficSecrets) -> Result<Receiving, Error> {
        let (key, iv) = parts(secrets)?;
        Ok(Receiving { open: self.suite.aead_alg.decrypter(key, iv), number: 0 })
    }

    /// The peer wants new keys from us.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether it did since this was last called.
    pub(super) fn take_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) && self.asked.swap(false, Ordering::Relaxed)
    }

    /// Has the peer told what it did wrong, by whoever writes.
    pub(super) fn tell(&self, alert: AlertDescription) {
        self.alert.store(alert.into(), Ordering::Relaxed);
    }

    /// What the peer is to be told.
    pub(super) fn untold(&self) -> Option<AlertDescription> {
        let alert = self.alert.load(Ordering::Relaxed);
        (alert != 0).then(|| alert.into())
    }
}

fn parts(secrets: ConnectionTrafficSecrets) -> Result<(AeadKey, Iv), Error> {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Ok((key, iv)),
        _ => Err(Error::General("secrets of an unknown kind".into())),
    }
}

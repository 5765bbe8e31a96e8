//! The HTTP client of the tests.

/// A client with TLS ready for use, without proxies, redirects or retries: what a test sees is what was sent.
pub fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .expect("the options above are constant and valid")
}

/// Makes `ring` this process's TLS provider; further calls change nothing.
pub fn install_tls() {
    // An error only says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

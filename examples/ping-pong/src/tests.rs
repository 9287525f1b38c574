//! The same program over both transports.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_and_in_memory() {
    let runtime = TokioRuntime::current();
    let tcp = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let in_memory = midflight_transport_inmem::Hub::new(1).transport(runtime.clone());
    let transports: [&dyn Transport; 2] = [&tcp, &in_memory];
    for transport in transports {
        assert_eq!(ping_pong(transport, runtime.clone()).await.unwrap(), 10);
    }
}

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;

/**
 * Makes the JDK's trust store from a directory of PEM files: {@code java CaCerts.java DIR OUT}.
 *
 * <p>jlink copies the build machine's own store, with whatever local authority that machine trusts; an image must
 * not carry that. Files are taken in the order of their names, so the same files give the same bytes.
 */
final class CaCerts {
  public static void main(String[] args) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    CertificateFactory x509 = CertificateFactory.getInstance("X.509");
    try (var files = Files.walk(Path.of(args[0]))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".crt")).sorted().toList()) {
        try (InputStream in = Files.newInputStream(file)) {
          store.setCertificateEntry(file.getFileName().toString(), x509.generateCertificate(in));
        }
      }
    }
    if (store.size() < 50) {
      throw new IllegalStateException("only " + store.size() + " certificates in " + args[0]);
    }
    try (OutputStream out = Files.newOutputStream(Path.of(args[1]))) {
      store.store(out, null);
    }
  }
}

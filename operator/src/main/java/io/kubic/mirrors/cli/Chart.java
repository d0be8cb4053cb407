package io.kubic.mirrors.cli;

import io.kubic.mirrors.bundle.Tar;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;

/** The Helm chart of this very build, which its jar carries. */
final class Chart {
  private static final String HOME = "chart/";
  private static final String NAME = "mirror-operator/";

  private Chart() {}

  /** As {@code helm package} would write it, but equal for equal charts. */
  static byte[] archive() {
    try {
      SortedMap<String, byte[]> files = files();
      if (!files.containsKey(NAME + "Chart.yaml")) {
        throw new IllegalStateException("the chart is not in the jar");
      }
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
        out.write(Tar.of(files));
      }
      return bytes.toByteArray();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static SortedMap<String, byte[]> files() throws IOException {
    CodeSource source = Chart.class.getProtectionDomain().getCodeSource();
    if (source == null) {
      throw new IllegalStateException("nobody knows where this program lies");
    }
    Path home;
    try {
      home = Path.of(source.getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
    return Files.isDirectory(home) ? ofDirectory(home.resolve(HOME)) : ofJar(home);
  }

  private static SortedMap<String, byte[]> ofDirectory(Path root) throws IOException {
    SortedMap<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(root)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        files.put(
            NAME + root.relativize(file).toString().replace('\\', '/'), Files.readAllBytes(file));
      }
    }
    return files;
  }

  private static SortedMap<String, byte[]> ofJar(Path jar) throws IOException {
    SortedMap<String, byte[]> files = new TreeMap<>();
    try (JarFile file = new JarFile(jar.toFile())) {
      for (JarEntry entry : file.stream().toList()) {
        if (entry.getName().startsWith(HOME) && !entry.isDirectory()) {
          try (InputStream in = file.getInputStream(entry)) {
            files.put(NAME + entry.getName().substring(HOME.length()), in.readAllBytes());
          }
        }
      }
    }
    return files;
  }
}

package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Stream;

/** A bucket as every service has it: objects appear whole. */
final class MemoryBucket implements Bucket {
  final Map<String, byte[]> objects;

  /** What was written and removed, in order. */
  final ConcurrentLinkedQueue<String> log;

  /** Asked before everything that changes something. */
  Runnable beforeChange = () -> {};

  private boolean closed;

  MemoryBucket() {
    this(new ConcurrentHashMap<>(), new ConcurrentLinkedQueue<>());
  }

  private MemoryBucket(Map<String, byte[]> objects, ConcurrentLinkedQueue<String> log) {
    this.objects = objects;
    this.log = log;
  }

  /** The same bucket as a process sees it that ends: threads it leaves behind do no more. */
  MemoryBucket process() {
    return new MemoryBucket(objects, log);
  }

  @Override
  public String name() {
    return "s3://b/p";
  }

  @Override
  public List<Item> list() {
    return objects.entrySet().stream()
        .map(e -> new Item(e.getKey(), e.getValue().length, Digest.of(e.getValue()).toString()))
        .toList();
  }

  @Override
  public InputStream open(Item item, long offset) {
    byte[] bytes = objects.get(item.name());
    if (bytes == null || !item.version().isEmpty() && !item.version().equals(version(bytes))) {
      throw new RegistryException(
          Reason.MalformedResponse, name() + "/" + item.name(), "changes while it is read");
    }
    return new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset);
  }

  private static String version(byte[] bytes) {
    return Digest.of(bytes).toString();
  }

  @Override
  public void put(String name, byte[] bytes) {
    beforeChange.run();
    change("PUT " + name, () -> objects.put(name, bytes));
  }

  @Override
  public void put(String name, Descriptor blob, BlobContent content) {
    try (InputStream in = content.open(0)) {
      byte[] bytes = in.readAllBytes();
      new BlobVerifier(blob, name).update(0, bytes, 0, bytes.length);
      put(name, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void remove(String name) {
    beforeChange.run();
    change("REMOVE " + name, () -> objects.remove(name));
  }

  @Override
  public void dropUnfinished() {
    log.add("DROP");
  }

  private synchronized void change(String what, Runnable change) {
    if (closed) {
      throw new IllegalStateException("the process has ended");
    }
    log.add(what);
    change.run();
  }

  @Override
  public synchronized void close() {
    closed = true;
  }

  MemoryBucket copy() {
    MemoryBucket copy = new MemoryBucket();
    copy.objects.putAll(objects);
    return copy;
  }

  /** As somebody's copy tool would do it. */
  MemoryBucket upload(Path directory) {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        objects.put(directory.relativize(file).toString(), Files.readAllBytes(file));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }

  /** Every object with its content, as {@link Story#tree} tells a directory. */
  Map<String, String> tree() {
    Map<String, String> files = new TreeMap<>();
    objects.forEach((name, bytes) -> files.put(name, version(bytes)));
    return files;
  }
}

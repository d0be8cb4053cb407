package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A bundle in a bucket. It is what the bucket held when it was listed: an object that changes
 * afterwards is refused when it is read.
 */
public final class BucketMedium implements Medium {
  private final Bucket bucket;
  private final String directory;
  private final SortedMap<String, Bucket.Item> items;

  private BucketMedium(Bucket bucket, String directory, SortedMap<String, Bucket.Item> items) {
    this.bucket = bucket;
    this.directory = directory;
    this.items = items;
  }

  /** Lists a bucket. */
  public static BucketMedium of(Bucket bucket) {
    TreeMap<String, Bucket.Item> items = new TreeMap<>();
    for (Bucket.Item item : bucket.list()) {
      if (item.name().isEmpty() && item.size() == 0) {
        continue; // What a console calls a folder.
      }
      items.put(item.name(), item);
    }
    return new BucketMedium(bucket, "", items);
  }

  @Override
  public String name() {
    return directory.isEmpty()
        ? bucket.name()
        : bucket.name() + "/" + directory.substring(0, directory.length() - 1);
  }

  @Override
  public boolean exists() {
    return !items.isEmpty();
  }

  @Override
  public RefusedException absent() {
    return new RefusedException(Reason.NotFound, name(), "holds no bundle");
  }

  @Override
  public Set<String> entries() {
    Set<String> names = new TreeSet<>();
    for (String key : items.keySet()) {
      int slash = key.indexOf('/', directory.length());
      names.add(key.substring(directory.length(), slash < 0 ? key.length() : slash + 1));
    }
    return names;
  }

  @Override
  public Medium below(String name) {
    String prefix = directory + name + "/";
    // '0' follows '/': the keys between are those that begin with the prefix.
    return new BucketMedium(bucket, prefix, items.subMap(prefix, directory + name + "0"));
  }

  @Override
  public StoredFile file(String file) {
    Bucket.Item item = items.get(directory + file);
    if (item == null) {
      throw new RegistryException(Reason.NotFound, nameOf(file), "is missing");
    }
    return new BucketFile(bucket, item);
  }

  @Override
  public Set<String> files(Set<String> expected) {
    Set<String> found = new TreeSet<>();
    for (String key : items.keySet()) {
      String name = key.substring(directory.length());
      if (!expected.contains(name)) {
        throw Medium.surplus(nameOf(name));
      }
      found.add(name);
    }
    return found;
  }
}

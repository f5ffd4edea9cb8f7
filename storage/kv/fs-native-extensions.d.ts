declare module "fs-native-extensions" {
  /**
   * Takes an exclusive lock of the kernel on an open file; false when another file descriptor, of any process, holds
   * it.
   */
  export function tryLock(fileDescriptor: number): boolean;
}

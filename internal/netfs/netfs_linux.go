// Package netfs tells whether a folder lies on a file system that other machines
// may write to as well: no event tells what they do there.
package netfs

import "golang.org/x/sys/unix"

// kinds are the file systems that other machines may write to, by what statfs(2)
// says. What is behind FUSE, such as SSHFS, it does not say.
func kinds() map[uint32]string {
	return map[uint32]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB",
		unix.FUSE_SUPER_MAGIC: "FUSE", unix.CEPH_SUPER_MAGIC: "Ceph", unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS",
		unix.CODA_SUPER_MAGIC: "Coda", unix.NCP_SUPER_MAGIC: "NCP", unix.V9FS_MAGIC: "9P", unix.OCFS2_SUPER_MAGIC: "OCFS2",
		0x0bd00bd0: "Lustre", 0x47504653: "GPFS", 0x01161970: "GFS2", 0x786f4256: "VirtualBox", 0xbacbacbc: "VMware", 0x19830326: "BeeGFS",
	}
}

// Kind names the file system that dir lies on if it is one that other machines may
// write to; "" is that it is none, or not known.
func Kind(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return ""
	}
	return kinds()[uint32(st.Type)]
}

//go:build linux && amd64

package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is what a program finds.
type Root struct {
	Binary    string       // the executable outside
	Path      string       // where it is inside; absolute
	Dir       string       // the working folder; is made if it isn't there
	Addresses []netip.Addr // of lo, besides its own
	Ports     []uint16     // which the kernel gives to nobody who asks for any
	Host      string       // host name
	Number    bool         // Run can say which process the program is
	Files     []File
}

// File is a file that is put into the file system, in place of what is there.
type File struct {
	Path  string // absolute
	Mode  fs.FileMode
	Write func(io.Writer) error
}

// lastPID is where the kernel is told which number it gave last to a process in here.
var lastPID *os.File

// stage is where the new root is made: a folder that every host has.
const stage = "/tmp"

// Enter makes the file system and the network, and enters them. It may be called once, by the process for which Inside
// is true, before it has more to do with files.
func Enter(r *Root) (notes []string, err error) {
	defer func() {
		if errors.Is(err, unix.EPERM) && setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
			err = fmt.Errorf("%w; kernel.apparmor_restrict_unprivileged_userns is 1: run ri as root, or set it to 0", err)
		}
	}()
	if err := network(r.Addresses, r.Ports); err != nil {
		return nil, fmt.Errorf("%w: its network: %w", ErrNotAllowed, err)
	}
	if r.Host != "" {
		if err := unix.Sethostname([]byte(r.Host)); err != nil {
			return nil, fmt.Errorf("its host name: %w", err)
		}
	}
	if r.Number { // before it can only be read
		if lastPID, err = os.OpenFile("/proc/sys/kernel/ns_last_pid", os.O_WRONLY, 0); err != nil {
			notes = append(notes, fmt.Sprintf("the program is another process than recorded, by its number: %v", err))
		}
	}
	binary, err := unix.OpenTree(unix.AT_FDCWD, r.Binary, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("%s: open_tree: %w (it needs Linux 5.12)", r.Binary, err)
	}
	changed := []string{r.Dir, filepath.Dir(r.Path)}
	for _, f := range r.Files {
		changed = append(changed, filepath.Dir(f.Path))
	}
	missing, err := fileSystem(changed)
	if notes = append(notes, missing...); err != nil {
		return notes, fmt.Errorf("%w: its file system: %w", ErrNotAllowed, err)
	}
	for _, f := range r.Files {
		if err := f.put(); err != nil {
			return notes, err
		}
	}
	if err := placeFor(r.Path, 0o755); err != nil {
		return notes, err
	}
	if err := unix.MoveMount(binary, "", unix.AT_FDCWD, r.Path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return notes, fmt.Errorf("%s: move_mount: %w", r.Path, err)
	}
	unix.Close(binary)
	if r.Dir != "" {
		if err := os.MkdirAll(r.Dir, 0o755); err != nil {
			return notes, fmt.Errorf("the program's working folder: %w", err)
		}
	}
	return notes, nil
}

// put writes a file.
func (f File) put() error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	// A link or a socket goes; that nothing is there is as well.
	if err := os.Remove(f.Path); errors.Is(err, unix.EBUSY) { // a container's own file, which is mounted there
		unix.Unmount(f.Path, unix.MNT_DETACH)
		os.Remove(f.Path)
	}
	w, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, f.Mode.Perm())
	if err != nil {
		return err
	}
	return errors.Join(f.Write(w), w.Close())
}

// placeFor has a file be there, on which something can be mounted.
func placeFor(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return nil
	}
	os.Remove(path)
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return w.Close()
}

// fileSystem makes a new root on a tmpfs and enters it. Every folder of the host's is the lower layer of an overlay of
// its own: one over all of / is refused, as what the host has mounted below it may not be uncovered
// (has_locked_children of clone_private_mount, fs/namespace.c, since Linux 5.14).
func fileSystem(changed []string) (notes []string, err error) {
	mounted, err := mountPoints()
	if err != nil {
		return nil, err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("ri", stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return nil, fmt.Errorf("a tmpfs on %s: %w", stage, err)
	}
	b := &builder{root: stage + "/root", mounted: mounted}
	if err := os.Mkdir(b.root, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount(b.root, b.root, "", unix.MS_BIND, ""); err != nil {
		return nil, err
	}
	if err := b.copyFolder("/"); err != nil {
		return nil, err
	}
	b.openFolders(changed)
	for _, make := range []func() error{b.proc, b.dev, b.sys, b.private, b.enter, readOnlyProc} {
		if err := make(); err != nil {
			return b.notes, err
		}
	}
	return b.notes, nil
}

// builder makes a root.
type builder struct {
	root    string
	mounted map[string]string // mount points, and the kinds of file systems
	layers  int
	copied  int
	opened  map[string]bool
	notes   []string
}

// own are folders that the new root has of its own.
var own = []string{"/proc", "/sys", "/dev", "/tmp", "/run"}

// virtual are file systems that are no place for a program's files.
var virtual = []string{"proc", "sysfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "bpf", "configfs",
	"pstore", "efivarfs", "autofs", "binfmt_misc", "hugetlbfs", "mqueue", "devpts", "devtmpfs", "fusectl", "rpc_pipefs"}

// maxCopied bounds the folders and files that are made one by one, since something is mounted below them.
const maxCopied = 20_000

// copyFolder has the entries of a folder that something is mounted below be in the new root.
func (b *builder) copyFolder(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		b.note(path, err)
		return nil
	}
	for _, e := range entries {
		from := filepath.Join(path, e.Name())
		if slices.Contains(own, from) {
			continue
		}
		if b.copied++; b.copied > maxCopied {
			return fmt.Errorf("more than %d files beside mount points", maxCopied)
		}
		to := b.root + from
		switch info, err := e.Info(); {
		case err != nil:
			continue // gone
		case info.Mode()&fs.ModeSymlink != 0:
			if target, err := os.Readlink(from); err == nil {
				err = os.Symlink(target, to)
				b.note(from, err)
			}
		case info.IsDir() && slices.Contains(virtual, b.mounted[from]):
		case info.IsDir():
			if err := os.Mkdir(to, info.Mode().Perm()); err != nil {
				return err
			}
			if b.mountedBelow(from) {
				if err := b.copyFolder(from); err != nil {
					return err
				}
				continue
			}
			b.note(from, b.overlay(from, to))
		case info.Mode().IsRegular():
			if err := placeFor(to, info.Mode().Perm()); err != nil {
				return err
			}
			b.note(from, bindReadOnly(from, to))
		}
	}
	return nil
}

// openFolders has folders be the roots of layers of their own, where that is needed to change something in them: to
// change a file in a layer, the kernel makes its folders again in the upper one, with their owners, whom the namespace
// doesn't have if it is an ordinary user's (EOVERFLOW).
func (b *builder) openFolders(changed []string) {
	slices.Sort(changed) // folders before what is in them
	for _, path := range changed {
		for ; path != "/" && path != "." && path != ""; path = filepath.Dir(path) {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				break
			}
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil || b.opened[real] || strings.Count(real, "/") < 2 || b.mountedBelow(real) ||
			slices.ContainsFunc(own, func(f string) bool { return strings.HasPrefix(real+"/", f+"/") }) {
			continue
		}
		if b.opened == nil {
			b.opened = map[string]bool{}
		}
		b.opened[real] = true
		b.note(real, b.overlay(real, b.root+real))
	}
}

// note notes what couldn't be had: it isn't there inside.
func (b *builder) note(path string, err error) {
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		b.notes = append(b.notes, fmt.Sprintf("%s isn't there inside: %v", path, err))
	}
}

func (b *builder) mountedBelow(path string) bool {
	for point := range b.mounted {
		if strings.HasPrefix(point, path+"/") {
			return true
		}
	}
	return false
}

// overlay shows a folder, with changes in memory.
func (b *builder) overlay(from, to string) error {
	b.layers++
	dir := fmt.Sprintf("%s/layers/%d", stage, b.layers)
	upper, work := dir+"/upper", dir+"/work"
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(from, &st); err == nil { // the upper folder's owner and mode are the merged one's
		unix.Chown(upper, int(st.Uid), int(st.Gid))
		unix.Chmod(upper, st.Mode&0o7777)
	}
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`)
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", escape.Replace(from), upper, work)
	err := unix.Mount("overlay", to, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options+",userxattr")
	if errors.Is(err, unix.EINVAL) { // before Linux 5.11, where only root may
		err = unix.Mount("overlay", to, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
	}
	if err != nil && bindReadOnly(from, to) == nil {
		b.notes = append(b.notes, fmt.Sprintf("%s is there inside to be read only (overlay: %v)", from, err))
		return nil
	}
	return err
}

// bindReadOnly shows a file or folder as it is, with what is mounted below it, to be read only.
func bindReadOnly(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	err := unix.MountSetattr(unix.AT_FDCWD, to, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	if err != nil {
		unix.Unmount(to, unix.MNT_DETACH)
	}
	return err
}

func (b *builder) proc() error {
	to := b.root + "/proc"
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", to, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("a /proc of its own: %w (a container that hides parts of its own /proc doesn't allow it)", err)
	}
	return nil
}

// readOnlyProc keeps root's program from the kernel's settings: there they ask for root, and for no capability.
func readOnlyProc() error {
	for _, path := range []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/fs"} {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := bindReadOnly(path, path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (b *builder) sys() error {
	to := b.root + "/sys"
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	b.note("/sys", bindReadOnly("/sys", to))
	return nil
}

func (b *builder) dev() error {
	to := b.root + "/dev"
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("dev", to, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("a /dev of its own: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := placeFor(to+"/"+name, 0o666); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+name, to+"/"+name, "", unix.MS_BIND, ""); err != nil {
			b.note("/dev/"+name, err)
		}
	}
	if err := os.Mkdir(to+"/pts", 0o755); err != nil {
		return err
	}
	b.note("/dev/pts", unix.Mount("/dev/pts", to+"/pts", "", unix.MS_BIND|unix.MS_REC, ""))
	if err := os.Mkdir(to+"/shm", 0o777); err != nil {
		return err
	}
	os.Chmod(to+"/shm", 0o1777)
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(target, to+"/"+name); err != nil {
			return err
		}
	}
	return nil
}

// private makes the folders that are empty inside.
func (b *builder) private() error {
	for name, mode := range map[string]fs.FileMode{"/tmp": 0o1777, "/run": 0o755} {
		if err := os.Mkdir(b.root+name, 0o755); err != nil {
			return err
		}
		options := fmt.Sprintf("mode=%o", mode)
		if err := unix.Mount("ri", b.root+name, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
			return fmt.Errorf("%s of its own: %w", name, err)
		}
	}
	return nil
}

// enter has the new root be the root, and the old one be nowhere.
func (b *builder) enter() error {
	if err := os.Chdir(b.root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // pivot_root(2): the old root lies over the new one
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	return os.Chdir("/")
}

// mountPoints reads /proc/self/mountinfo (proc_pid_mountinfo(5)).
func mountPoints() (map[string]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		before, after, _ := strings.Cut(s.Text(), " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 1 {
			return nil, fmt.Errorf("unexpected line in /proc/self/mountinfo: %q", s.Text())
		}
		all[unescape(where[4])] = what[0]
	}
	return all, nil
}

// unescape undoes what mountinfo does to blanks and backslashes: \040.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

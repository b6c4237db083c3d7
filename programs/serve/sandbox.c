/* What the process gives up: new rights, other programs, the rights of root.
 * Owner rule: nothing is kept. */
#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/server.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
/* No server needs these; who gets code to run in it would. A call of another architecture is refused as well. A
 * sanitizer looks for leaks by ptrace. */
static const int REFUSED[] = {
    SYS_execve, SYS_execveat,    SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount,  SYS_umount2,
    SYS_bpf,    SYS_init_module, SYS_finit_module,     SYS_kexec_load,        SYS_keyctl, SYS_unshare,
    SYS_setns,  SYS_pivot_root,  SYS_perf_event_open,  SYS_userfaultfd,       SYS_chroot,
#ifndef __SANITIZE_ADDRESS__
    SYS_ptrace,
#endif
    SYS_reboot, SYS_swapon};
enum { N_REFUSED = sizeof REFUSED / sizeof *REFUSED, HEAD = 4 };

static void filter_calls(void) {
    struct sock_filter code[HEAD + N_REFUSED + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    for (int i = 0; i < N_REFUSED; i++)
        code[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)REFUSED[i],
                                                      (unsigned char)(N_REFUSED - i), 0);
    code[HEAD + N_REFUSED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[HEAD + N_REFUSED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    const struct sock_fprog program = {HEAD + N_REFUSED + 2, code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) errno = 0; /* a kernel without it */
}
#else
static void filter_calls(void) {}
#endif

void sv_sandbox(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) filter_calls();
}

/* getpwnam would load the libraries that /etc/nsswitch.conf names. A static program must not, so it reads the file. */
static const struct passwd *find_user(const char *name) {
#if defined(KF_STATIC)
    FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *p = NULL;
    while (f && (p = fgetpwent(f)) != NULL && strcmp(p->pw_name, name) != 0) continue;
    if (f) fclose(f);
    return p;
#else
    return getpwnam(name);
#endif
}

kf_status sv_become(const char *name, kf_error *err) {
    errno = 0;
    const struct passwd *p = find_user(name);
    if (!p) KF_FAIL(err, KF_ERR_ARGUMENT, "--user %.200s: there is no such user", name);
    if (setgroups(0, NULL) != 0 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
        setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0)
        KF_FAIL(err, KF_ERR_ARGUMENT, "--user %.200s: %s; only root can become another user", name, strerror(errno));
    if (p->pw_uid && setuid(0) == 0)
        KF_FAIL(err, KF_ERR_INTERNAL, "--user %.200s: root's rights could be had again", name);
    return KF_OK;
}

void sv_room_for_files(int *most) {
    enum { OWN = 64 }; /* models while they load, logs, the threads' own */
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0) return;
    rlim_t wanted = (rlim_t)*most + OWN;
    if (l.rlim_cur < wanted) {
        l.rlim_cur = l.rlim_max < wanted ? l.rlim_max : wanted;
        if (setrlimit(RLIMIT_NOFILE, &l) != 0 && getrlimit(RLIMIT_NOFILE, &l) != 0) return;
    }
    if (l.rlim_cur >= wanted) return;
    int fits = l.rlim_cur > 2 * OWN ? (int)l.rlim_cur - OWN : (int)l.rlim_cur / 2;
    cli_say("note: --max-connections %d: the limit of open files (ulimit -n) leaves %d", *most, fits);
    *most = fits;
}

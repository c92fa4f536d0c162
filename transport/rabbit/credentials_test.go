package rabbit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// login is what a host is told, as "user password".
func login(tb testing.TB, host transport.Host, o *Options) string {
	tb.Helper()
	auth, err := credentials(host, o)
	if err != nil {
		tb.Fatal(err)
	}
	switch a := auth.(type) {
	case *amqp091.PlainAuth:
		return "PLAIN " + a.Username + " " + a.Password
	case *amqp091.AMQPlainAuth:
		return "AMQPLAIN " + a.Username + " " + a.Password
	}
	return auth.Mechanism()
}

func TestCredentialsAreGuestWhereTheURLHasNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host transport.Host
		want string
	}{
		{transport.Host{}, "guest guest"},
		{transport.Host{User: "u"}, "u guest"},
		{transport.Host{Password: "p"}, "guest p"},
		{transport.Host{User: "u", Password: "p"}, "u p"},
	} {
		for _, method := range []string{"PLAIN", "AMQPLAIN"} {
			if got, want := login(t, c.host, &Options{LoginMethod: method}), method+" "+c.want; got != want {
				t.Errorf("%s of %v: %s, want %s", method, c.host, got, want)
			}
		}
		if got := login(t, c.host, &Options{LoginMethod: "EXTERNAL"}); got != "EXTERNAL" {
			t.Errorf("EXTERNAL of %v: %s", c.host, got)
		}
	}
}

func TestPasswordOfAnyCharactersIsReadFromTheURL(t *testing.T) {
	t.Parallel()
	const password = `/ % @ # : ? & = + , [ ] " ' \ ü 日本 🔑`
	u, err := transport.ParseURL("rabbit://" + percent("u:/@") + ":" + percent(password) + "@h/")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := login(t, u.Hosts[0], &Options{LoginMethod: "PLAIN"}), "PLAIN u:/@ "+password; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// percent encodes every byte.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
	}
	return b.String()
}

// save writes a file of the test's and returns its name.
func save(tb testing.TB, file, text string) string {
	tb.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

func TestCredentialsComeFromFilesAnewEachTime(t *testing.T) {
	t.Parallel()
	user, password := filepath.Join(t.TempDir(), "user"), filepath.Join(t.TempDir(), "password")
	host := transport.Host{User: "u", Password: "p"}
	both := Options{LoginMethod: "PLAIN", ConnectionOptions: ConnectionOptions{UsernameFile: user, PasswordFile: password}}
	only := Options{LoginMethod: "AMQPLAIN", ConnectionOptions: ConnectionOptions{PasswordFile: password}}
	for _, c := range []struct{ user, password, both, only string }{
		{"me", "first", "PLAIN me first", "AMQPLAIN u first"},
		{"you\n", "second\n", "PLAIN you second", "AMQPLAIN u second"},
		{"you\r\n", " /%@#: ü\r\n", "PLAIN you  /%@#: ü", "AMQPLAIN u  /%@#: ü"},
		{"you", "two lines\n\n", "PLAIN you two lines\n", "AMQPLAIN u two lines\n"},
	} {
		save(t, user, c.user)
		save(t, password, c.password)
		if got := login(t, host, &both); got != c.both {
			t.Errorf("user %q, password %q: %q, want %q", c.user, c.password, got, c.both)
		}
		if got := login(t, host, &only); got != c.only {
			t.Errorf("password %q: %q, want %q", c.password, got, c.only)
		}
	}
}

func TestCredentialsFileThatCannotBeReadIsAnErrorWithItsOption(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		file, want string
		is         error
	}{
		"missing":  {filepath.Join(dir, "s3cr3t"), "open: no such file or directory", fs.ErrNotExist},
		"a folder": {dir, "read: is a directory", syscall.EISDIR},
		"empty":    {save(t, filepath.Join(dir, "empty"), "\n"), "the file is empty", nil},
		"too long": {save(t, filepath.Join(dir, "long"), strings.Repeat("s3cr3t", longestSecret)), "the file is longer than 65536 bytes", nil},
	} {
		for option, o := range map[string]ConnectionOptions{
			"rabbit_username_file": {UsernameFile: c.file}, "rabbit_password_file": {PasswordFile: c.file},
		} {
			_, err := credentials(transport.Host{}, &Options{ConnectionOptions: o})
			if want := option + ": " + c.want; err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", name, err, want)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: error %v does not match %v", name, err, c.is)
			}
		}
	}
}

func readFile(tb testing.TB, file string) string {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

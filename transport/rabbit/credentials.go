package rabbit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

const defaultUser = "guest"

// longestSecret bounds what is read of a file with a credential.
const longestSecret = 64 << 10

// credentials are what a host is told to let this side in. Files are read each time, so that the next connection has
// a new password.
func credentials(host transport.Host, o *Options) (amqp091.Authentication, error) {
	if o.LoginMethod == loginExternal { // the client certificate says who this is
		return &amqp091.ExternalAuth{}, nil
	}
	user, err := secret(host.User, "rabbit_username_file", o.UsernameFile)
	if err != nil {
		return nil, err
	}
	password, err := secret(host.Password, "rabbit_password_file", o.PasswordFile)
	if err != nil {
		return nil, err
	}
	if o.LoginMethod == loginPlain {
		return &amqp091.PlainAuth{Username: user, Password: password}, nil
	}
	return &amqp091.AMQPlainAuth{Username: user, Password: password}, nil
}

// secret is what the file says; without a file, what the URL says. Its error does not show the file's name: somebody
// may have given the password itself.
func secret(given, option, file string) (string, error) {
	if file == "" {
		return orDefault(given, defaultUser), nil
	}
	text, err := readSecret(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	return text, nil
}

func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, longestSecret+1))
	if err != nil {
		return "", withoutPath(err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case len(data) > longestSecret:
		return "", fmt.Errorf("the file is longer than %d bytes", longestSecret)
	case text == "":
		return "", errors.New("the file is empty")
	}
	return text, nil
}

// withoutPath takes the name of the file from an error.
func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}

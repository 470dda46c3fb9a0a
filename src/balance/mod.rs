//! Which backend a new tunnel goes to. One policy a file, one enum, one match.

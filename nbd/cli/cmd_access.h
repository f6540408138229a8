// The parts of `casdisk user` and `casdisk token`: cmd_user*.cc, cmd_token.cc.
#pragma once

#include "nbd/auth/tokens.h"
#include "nbd/cli/commands.h"

namespace casdisk {

Syntax user_add_syntax();
Syntax user_audit_syntax();
Syntax user_change_syntax();
Syntax user_login_syntax();
Syntax user_ls_syntax();
Syntax user_psk_file_syntax();
Syntax user_revoke_syntax();
Syntax user_rotate_key_syntax();
Syntax user_rotate_syntax();
Syntax user_show_syntax();
Syntax token_add_syntax();
Syntax token_ls_syntax();
Syntax token_revoke_syntax();
Syntax token_rotate_syntax();

Result<int> run_user_add(Session& session, const Arguments& arguments);
Result<int> run_user_audit(Session& session, const Arguments& arguments);
Result<int> run_user_change(Session& session, const Arguments& arguments);
Result<int> run_user_login(Session& session, const Arguments& arguments);
Result<int> run_user_ls(Session& session, const Arguments& arguments);
Result<int> run_user_psk_file(Session& session, const Arguments& arguments);
Result<int> run_user_revoke(Session& session, const Arguments& arguments);
Result<int> run_user_rotate_key(Session& session, const Arguments& arguments);
Result<int> run_user_rotate(Session& session, const Arguments& arguments);
Result<int> run_user_show(Session& session, const Arguments& arguments);
Result<int> run_token_add(Session& session, const Arguments& arguments);
Result<int> run_token_ls(Session& session, const Arguments& arguments);
Result<int> run_token_revoke(Session& session, const Arguments& arguments);
Result<int> run_token_rotate(Session& session, const Arguments& arguments);

// A token that was just made, alone on stdout: nobody can ask for it again.
void answer_token(Console& console, const IssuedToken& token, const std::string& user);

}  // namespace casdisk

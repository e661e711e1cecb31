# Copyright (C) Delta contributors

# The Redis functions as a C string: ngx_http_delta_lua[].

delta_lua="$ngx_addon_dir/src/redis/delta.lua \
           $ngx_addon_dir/src/redis/presence.lua \
           $ngx_addon_dir/src/redis/membership.lua \
           $ngx_addon_dir/src/redis/leases.lua"

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/ngx_http_delta_lua.h:	$delta_lua $ngx_addon_dir/config.make
	( echo 'static const char ngx_http_delta_lua[] ='; \\
	  sed -e 's/[\\\\"]/\\\\&/g' -e 's/.*/    "&\\\\n"/' \\
	      $delta_lua && echo '    "";' ) > \$@.tmp
	mv \$@.tmp \$@

END
